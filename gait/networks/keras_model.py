"""Keras gait models: classifiers in training; the input of the last layer is the signature.

On disk a model is one ``model.keras`` file without code.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gait.errors import DataError

SAMPLE = (50, 60, 60)  # 25 flow frames of 60 x 60 px: channel 2k is the horizontal flow of frame k, 2k + 1 the vertical
KERNEL_DECAY = 5e-5  # the L2 penalty of the convolutions' kernels


def scaled(units: int, width: float) -> int:
    """A published layer width times ``width``, as a multiple of 4 (never 0); unchanged at width 1."""
    return units if width == 1 else max(4, 4 * round(units * width / 4))


def check_settings(name: str, settings: Mapping[str, Any], convolutions: int, widths: str, rates: str = "") -> None:
    """Refuse a wrong ``architecture`` section.

    Args:
        name: the model's name.
        settings: the section.
        convolutions: the number of entries that ``filters`` must have.
        widths: the keys of the other layers' widths, with spaces between.
        rates: the keys of the dropout rates, with spaces between.

    Raises:
        DataError: a key is missing or unknown, or a value is out of range.
    """
    keys = ["filters", *widths.split(), *rates.split()]
    if set(settings) != set(keys):
        raise DataError(f"{name}: architecture takes {', '.join(keys)}, not {', '.join(settings) or 'nothing'}")
    filters = settings["filters"]
    if not isinstance(filters, list) or len(filters) != convolutions or not all(map(_is_width, filters)):
        raise DataError(f"{name}: architecture.filters = {filters}: must be {convolutions} whole numbers above 0")
    for key in widths.split():
        if not _is_width(settings[key]):
            raise DataError(f"{name}: architecture.{key} = {settings[key]}: must be a whole number above 0")
    for key in rates.split():
        if not isinstance(settings[key], int | float) or not 0 <= settings[key] < 1:
            raise DataError(f"{name}: architecture.{key} = {settings[key]}: must be at least 0 and less than 1")


def _is_width(value: Any) -> bool:
    return isinstance(value, int) and value > 0


def clip(samples: Any) -> Any:
    """Samples in the layout of 3D convolutions: [batch, 50, 60, 60] -> [batch, 25 frames, 60, 60, 2 (x and y)]."""
    from keras import layers

    frames, height, width = SAMPLE[0] // 2, *SAMPLE[1:]
    split = layers.Reshape((frames, 2, height, width), name="frames")(samples)
    return layers.Permute((1, 3, 4, 2), name="channels_last")(split)


def codes(maps: Any, gray: int, signature: int) -> Any:
    """The end of the 3D networks: the linear 1x1x1 convolution "grayCode", and the dense layer "code_1", the signature."""
    import keras
    from keras import layers

    code = layers.Conv3D(
        gray,
        1,
        kernel_initializer="he_uniform",
        kernel_regularizer=keras.regularizers.L2(1e-3),
        name="grayCode",
    )(maps)
    return layers.Dense(signature, name="code_1")(layers.Flatten(name="flatten")(code))


def classifier(signature: Any, classes: int) -> Any:
    """The layer "probs": signatures [batch, channels] -> probabilities of the training identities [batch, classes]."""
    from keras import layers

    return layers.Dense(classes, activation="softmax", kernel_initializer="he_uniform", name="probs")(signature)


def build(name: str, settings: Mapping[str, Any], width: float, classes: int) -> Any:
    """The Keras model of gait/models/<name>.py with fresh weights."""
    return importlib.import_module(f"gait.models.{name}").build(settings, width, classes)


def signature_model(model: Any) -> Any:
    """The network up to the input of its last layer, the classifier, shaped as one part: [batch, 1, channels]."""
    import keras

    signature = model.layers[-1].input
    shaped = keras.layers.Reshape((1, signature.shape[-1]), name="signature")(signature)
    return keras.Model(model.input, shaped, name=f"{model.name}_signature")


def layers(model: Any) -> list[dict[str, Any]]:
    """The layers that have weights or change the shape, from the input to the classifier, a row each.

    A row has the layer's "name", its "kind" in Keras, the "output" shape of one sample, "params", and "macs": the
    multiply-adds of convolutions and dense layers for one sample, biases not counted. The last row, the classifier's,
    also has "training_only": true, since the deployed network ends at the signature.
    """
    rows = []
    for layer in model.layers[1:]:  # the first is the input
        output = layer.output.shape[1:]
        if layer.weights or output != layer.input.shape[1:]:
            kernel = getattr(layer, "kernel", None)
            macs = 0 if kernel is None else math.prod(kernel.shape) * math.prod(output[:-1])
            rows.append(
                {
                    "name": layer.name,
                    "kind": type(layer).__name__,
                    "output": list(output),
                    "params": layer.count_params(),
                    "macs": macs,
                }
            )
    rows[-1]["training_only"] = True
    return rows


def save(model: Any, directory: Path) -> None:
    """Write model.keras into an existing directory."""
    model.save(directory / "model.keras")


def load(directory: Path) -> Any:
    """Read a model that :func:`save` wrote, without the optimizer's state.

    Raises:
        DataError: the file is missing or damaged.
    """
    import keras

    try:
        return keras.saving.load_model(directory / "model.keras", compile=False, safe_mode=True)
    except (ValueError, OSError, KeyError) as error:
        raise DataError(f"{directory}/model.keras cannot be read: {error}") from None
