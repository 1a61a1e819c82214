"""2D-CNN on optical flow (Castro et al.; deployed by Ruiz-Barroso et al., SUSCOM 2022), in Keras.

The 25 flow frames of a sample are the channels of one image, x and y interleaved. Four convolutions and three dense
layers follow; the last of these, "code_1", gives the signature. A classifier, for training only, ends the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gait.networks.keras_model import KERNEL_DECAY, SAMPLE, check_settings, classifier, scaled

KERNELS = (7, 5, 3, 2)


def build(settings: Mapping[str, Any], width: float, classes: int) -> Any:
    """A Keras model with fresh weights: samples [batch, 50, 60, 60] in px -> class probabilities [batch, classes].

    The published size (filters 96, 192, 512, 512; dense 2048; signature 1024; 150 classes) has 6,982,774 parameters.

    Args:
        settings: ``filters`` of the four convolutions, ``dense`` and ``signature`` widths, ``dropout`` rate.
        width: multiplier of filters, dense and signature.
        classes: number of training identities.

    Raises:
        DataError: a setting is missing, unknown or out of range.
    """
    check_settings("cnn2d", settings, len(KERNELS), "dense signature", "dropout")
    import keras
    from keras import layers

    samples = keras.Input(SAMPLE, name="input")
    # Samples are stored channels-first as published; TensorFlow has no channels-first convolution on the CPU.
    maps = layers.Permute((2, 3, 1), name="channels_last")(samples)
    for index, (filters, kernel) in enumerate(zip(settings["filters"], KERNELS, strict=True), start=1):
        maps = layers.Conv2D(
            scaled(filters, width),
            kernel,
            activation="relu",
            kernel_regularizer=keras.regularizers.L2(KERNEL_DECAY),
            name=f"conv{index}",
        )(maps)
        maps = layers.MaxPooling2D(2, name=f"pool{index}")(maps)
    features = layers.Flatten(name="flatten")(maps)
    features = layers.Dense(scaled(settings["dense"], width), name="dense")(features)
    features = layers.Dropout(settings["dropout"], name="dropout")(features)
    features = layers.Dense(scaled(settings["signature"], width), name="code")(features)
    signature = layers.Dense(scaled(settings["signature"], width), name="code_1")(features)
    return keras.Model(samples, classifier(signature, classes), name="cnn2d")
