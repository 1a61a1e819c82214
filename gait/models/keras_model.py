"""What a Keras gait model is: a classifier in training, whose classifier layer's input is the signature.

On disk a model is one ``model.keras`` file, which holds no code.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gait.errors import DataError


def scaled(units: int, width: float) -> int:
    """A published layer width times ``width``, as a multiple of 4 (never 0); unchanged at width 1."""
    return units if width == 1 else max(4, 4 * round(units * width / 4))


def build(name: str, settings: Mapping[str, Any], width: float, classes: int) -> Any:
    """The Keras model of gait/models/<name>.py with fresh weights."""
    return importlib.import_module(f"gait.models.{name}").build(settings, width, classes)


def signature_model(model: Any) -> Any:
    """The network up to the input of its last layer, the classifier, shaped as one part: [batch, 1, channels]."""
    import keras

    signature = model.layers[-1].input
    shaped = keras.layers.Reshape((1, signature.shape[-1]), name="signature")(signature)
    return keras.Model(model.input, shaped, name=f"{model.name}_signature")


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
