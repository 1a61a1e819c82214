"""PyTorch models that this pipeline wrote: architecture.json beside weights.safetensors, with the network's own names."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from gait.errors import DataError
from gait.imported.links import TRAINING_ONLY, Link, Reading
from gait.networks.torch_model import TorchModel


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        DataError: it is damaged.
    """
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path} is damaged: {error}") from None


def matches(model: TorchModel, names: Collection[str]) -> bool:
    """Whether a file has a name of this network's tensors."""
    return not model.state_dict().keys().isdisjoint(names)


def reading(model: TorchModel, tensors: Mapping[str, Tensor], path: Path) -> Reading:
    """The links of a file whose names are the network's own.

    Raises:
        DataError: architecture.json, if there is one beside the file, is damaged or names another model.
    """
    state = model.state_dict()
    names = [*state, *(name for name in tensors if name.startswith(TRAINING_ONLY) and name not in state)]
    return Reading([Link(name, (name,)) for name in names], _differences(model, path.with_name("architecture.json")))


def _differences(model: TorchModel, described: Path) -> list[str]:
    """Notes on settings that may leave no trace in the weights."""
    if not described.is_file():
        return []
    try:
        description = json.loads(described.read_text(encoding="utf-8"))
        name, settings = description["name"], dict(description["settings"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{described} cannot be read: {error}") from None
    if name != model.architecture.name:
        raise DataError(f"{described.parent} holds {name}, not {model.architecture.name}")
    return [
        f"trained with {key}: {settings[key]}, and {name} is configured with {value}"
        for key, value in model.architecture.settings.items()
        if key in settings and settings[key] != value
    ]
