"""What a PyTorch gait model is: a network that can say how it is built, be rebuilt narrower, saved and loaded.

On disk a model is ``architecture.json`` (name, settings, channels of every layer) beside ``weights.safetensors``.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from gait.errors import DataError


@dataclass(frozen=True)
class FilterGroup:
    """Filters that can only be removed together, since their outputs are added or share what reads them.

    Attributes:
        name: the group's name, that of its first unit.
        units: modules whose output channels these are; the convolution of unit ``u`` is ``u.conv``.
        readers: (parameter, axis) of every tensor with an axis over these channels as its input.
    """

    name: str
    units: tuple[str, ...]
    readers: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class TorchArchitecture:
    """All that is needed to build a network again, without its weights.

    Attributes:
        name: the model's file in gait/models.
        settings: its ``architecture`` section of params.yaml, with the width worked in.
        channels: output channels of every prunable unit.
    """

    name: str
    settings: Mapping[str, Any]
    channels: Mapping[str, int]

    def build(self) -> TorchModel:
        """The network with fresh weights."""
        return importlib.import_module(f"gait.models.{self.name}").from_architecture(self)


class TorchModel(nn.Module):
    """A network that maps sequences [batch, frames, height, width] to signatures [batch, parts, channels]."""

    architecture: TorchArchitecture

    def filter_groups(self) -> list[FilterGroup]:
        """All prunable filters, grouped by what must be removed together, from input to output."""
        raise TypeError(f"{self.architecture.name} does not say which of its filters can be removed")

    def forward(self, frames: Tensor) -> Tensor:
        raise TypeError(f"{self.architecture.name} has no forward pass")


def save(model: TorchModel, directory: Path) -> None:
    """Write architecture.json and weights.safetensors into an existing directory."""
    text = json.dumps({"framework": "torch", **asdict(model.architecture)}, indent=1, sort_keys=True)
    (directory / "architecture.json").write_text(text + "\n", encoding="utf-8")
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, directory / "weights.safetensors")


def load(directory: Path) -> TorchModel:
    """Read a model that :func:`save` wrote; the network is in evaluation mode.

    Raises:
        DataError: the weights do not fit the architecture.
    """
    described = json.loads((directory / "architecture.json").read_text(encoding="utf-8"))
    described.pop("framework")
    model = TorchArchitecture(**described).build()
    try:
        model.load_state_dict(load_file(directory / "weights.safetensors"))
    except RuntimeError as error:
        raise DataError(f"{directory}/weights.safetensors does not fit architecture.json: {error}") from None
    return model.eval()
