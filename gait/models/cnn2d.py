"""2D-CNN on optical flow (Castro et al.; deployed by Ruiz-Barroso et al., SUSCOM 2022), in Keras.

The 25 flow frames of a sample are the channels of one image, x and y interleaved. Four convolutions and three dense
layers follow, of which the last, "code_1", is the signature; then a classifier, for training only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gait.errors import DataError

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
    if set(settings) != {"filters", "dense", "signature", "dropout"}:
        raise DataError(f"cnn2d: architecture takes filters, dense, signature, dropout, not {', '.join(settings)}")
    if len(settings["filters"]) != len(KERNELS):
        raise DataError(f"cnn2d: architecture.filters = {settings['filters']}: must be {len(KERNELS)} numbers")
    import keras
    from keras import layers

    from gait.models.keras_model import scaled

    samples = keras.Input((50, 60, 60), name="input")
    # Stored channels-first as published; TensorFlow has no channels-first convolution on the CPU.
    maps = layers.Permute((2, 3, 1), name="channels_last")(samples)
    for index, (filters, kernel) in enumerate(zip(settings["filters"], KERNELS, strict=True), start=1):
        maps = layers.Conv2D(
            scaled(filters, width),
            kernel,
            activation="relu",
            kernel_regularizer=keras.regularizers.L2(5e-5),
            name=f"conv{index}",
        )(maps)
        maps = layers.MaxPooling2D(2, name=f"pool{index}")(maps)
    features = layers.Flatten(name="flatten")(maps)
    features = layers.Dense(scaled(settings["dense"], width), name="dense")(features)
    features = layers.Dropout(settings["dropout"], name="dropout")(features)
    features = layers.Dense(scaled(settings["signature"], width), name="code")(features)
    features = layers.Dense(scaled(settings["signature"], width), name="code_1")(features)
    probabilities = layers.Dense(classes, activation="softmax", kernel_initializer="he_uniform", name="probs")(features)
    return keras.Model(samples, probabilities, name="cnn2d")
