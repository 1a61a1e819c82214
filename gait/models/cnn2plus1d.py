"""(2+1)D-CNN on optical flow: the 3D-CNN (Ruiz-Barroso et al., SUSCOM 2022) with space and time apart, in Keras.

Two convolutions replace each of the 3D-CNN's six: one over the pixels of each frame, then one over the frames of each pixel
(Tran et al., CVPR 2018), both with ReLU and the same number of filters. The end is the 3D-CNN's: the linear convolution
"grayCode", the dense layer "code_1", which gives the signature, and a classifier, for training only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gait.networks.keras_model import KERNEL_DECAY, SAMPLE, check_settings, classifier, clip, codes, scaled

# Spatial kernels and strides are the same for rows and columns.
SPATIAL_KERNELS, SPATIAL_STRIDES = (5, 3, 3, 3, 2, 1), (2, 2, 2, 2, 1, 1)
TEMPORAL_KERNELS, TEMPORAL_STRIDES = (3, 3, 3, 3, 3, 2), (1, 1, 2, 2, 1, 1)


def build(settings: Mapping[str, Any], width: float, classes: int) -> Any:
    """A Keras model with fresh weights: samples [batch, 50, 60, 60] in px -> class probabilities [batch, classes].

    The 3D-CNN's size (filters 64, 128, 256, 512, 512, 512; code and signature 1024; 150 classes) has 6,950,038
    parameters.

    Args:
        settings: ``filters`` of the six pairs of convolutions, ``code`` (grayCode's filters) and ``signature`` widths.
        width: multiplier of all three.
        classes: number of training identities.

    Raises:
        DataError: a setting is missing, unknown or out of range.
    """
    check_settings("cnn2plus1d", settings, len(SPATIAL_KERNELS), "code signature")
    import keras
    from keras import layers

    def convolution(maps: Any, filters: int, kernel: tuple[int, ...], stride: tuple[int, ...], name: str) -> Any:
        decay = keras.regularizers.L2(KERNEL_DECAY)
        return layers.Conv3D(filters, kernel, stride, activation="relu", kernel_regularizer=decay, name=name)(maps)

    samples = keras.Input(SAMPLE, name="input")
    maps = clip(samples)
    for index, published in enumerate(settings["filters"]):
        filters, name = scaled(published, width), f"conv{index + 1}"
        kernel, stride = SPATIAL_KERNELS[index], SPATIAL_STRIDES[index]
        maps = convolution(maps, filters, (1, kernel, kernel), (1, stride, stride), f"{name}_spatial")
        kernel, stride = TEMPORAL_KERNELS[index], TEMPORAL_STRIDES[index]
        maps = convolution(maps, filters, (kernel, 1, 1), (stride, 1, 1), f"{name}_temporal")
    signature = codes(maps, scaled(settings["code"], width), scaled(settings["signature"], width))
    return keras.Model(samples, classifier(signature, classes), name="cnn2plus1d")
