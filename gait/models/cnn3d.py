"""3D-CNN on optical flow (Castro et al.; deployed by Ruiz-Barroso et al., SUSCOM 2022), in Keras.

A sample is a clip of 25 frames with two channels, x and y of the flow. Six convolutions over time and space shrink it to
one voxel without pooling. The linear convolution "grayCode", the dense layer "code_1", which gives the signature, and a
classifier, for training only, follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gait.networks.keras_model import KERNEL_DECAY, SAMPLE, check_settings, classifier, clip, codes, scaled

# Frames, rows, columns.
KERNELS = ((3, 5, 5), (3, 3, 3), (3, 3, 3), (3, 3, 3), (3, 2, 2), (2, 1, 1))
STRIDES = ((1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2), (1, 1, 1), (1, 1, 1))


def build(settings: Mapping[str, Any], width: float, classes: int) -> Any:
    """A Keras model with fresh weights: samples [batch, 50, 60, 60] in px -> class probabilities [batch, classes].

    The published size (filters 64, 128, 256, 512, 512, 512; code and signature 1024; 150 classes) has 10,055,126
    parameters.

    Args:
        settings: ``filters`` of the six convolutions, ``code`` (grayCode's filters) and ``signature`` widths.
        width: multiplier of all three.
        classes: number of training identities.

    Raises:
        DataError: a setting is missing, unknown or out of range.
    """
    check_settings("cnn3d", settings, len(KERNELS), "code signature")
    import keras
    from keras import layers

    samples = keras.Input(SAMPLE, name="input")
    maps = clip(samples)
    for index, (filters, kernel, stride) in enumerate(zip(settings["filters"], KERNELS, STRIDES, strict=True), start=1):
        maps = layers.Conv3D(
            scaled(filters, width),
            kernel,
            stride,
            activation="relu",
            kernel_regularizer=keras.regularizers.L2(KERNEL_DECAY),
            name=f"conv{index}",
        )(maps)
    signature = codes(maps, scaled(settings["code"], width), scaled(settings["signature"], width))
    return keras.Model(samples, classifier(signature, classes), name="cnn3d")
