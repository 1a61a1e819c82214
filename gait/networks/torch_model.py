"""PyTorch gait models: networks that describe how they are built, and can be rebuilt narrower, saved and loaded.

On disk a model is ``architecture.json`` (name, settings, channels of every layer) beside ``weights.safetensors``.
"""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from gait.errors import DataError


class Reader(NamedTuple):
    """A tensor with an axis over the channels of a group.

    Attributes:
        parameter: the tensor's name in the network's state.
        axis: the axis.
        blocks: the number of times that all the channels follow one another along the axis, such as 2 where the tensor reads
            a concatenation of two maps.
    """

    parameter: str
    axis: int
    blocks: int = 1


@dataclass(frozen=True)
class FilterGroup:
    """Filters that must be removed together, since their outputs are added or the same tensors read them.

    Attributes:
        units: modules whose output channels these are, on axis 1; the convolution of unit ``u`` is ``u.conv``. The group
            has the first unit's name.
        readers: the tensors that read these channels.
        along: modules between units and readers that keep channels apart but do not map 0 to 0.
    """

    units: tuple[str, ...]
    readers: tuple[Reader, ...]
    along: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.units[0]


def filter_group(units: str, *readers: tuple[str, int] | tuple[str, int, int], along: str = "") -> FilterGroup:
    """A group; ``units`` and ``along`` are names with spaces between, each reader is (parameter, axis[, blocks])."""
    return FilterGroup(tuple(units.split()), tuple(Reader(*reader) for reader in readers), tuple(along.split()))


@dataclass(frozen=True)
class TorchArchitecture:
    """The facts from which a network can be built again, without its weights.

    Attributes:
        name: the model's file in gait/models.
        settings: its ``architecture`` section of params.yaml, with the width worked in.
        channels: output channels of every prunable unit.
        classes: the number of identities that its classifier tells apart; 0 without a classifier.
    """

    name: str
    settings: Mapping[str, Any]
    channels: Mapping[str, int]
    classes: int = 0

    def build(self) -> TorchModel:
        """The network with fresh weights."""
        return _channels_last(importlib.import_module(f"gait.models.{self.name}").from_architecture(self))


class TorchModel(nn.Module):
    """A network that maps sequences [batch, frames, height, width] to signatures [batch, parts, channels].

    Attributes:
        frame_shape: height and width of the frames.
        classifier: for training only; maps signatures to logits [batch, parts or 1, classes].
    """

    frame_shape = (64, 44)
    architecture: TorchArchitecture

    def __init__(self) -> None:
        super().__init__()
        self.classifier: nn.Module | None = None

    def filter_groups(self) -> list[FilterGroup]:
        """All prunable filters from input to output, in groups that must be removed together."""
        raise DataError(
            f"{self.architecture.name} does not say which of its filters can be removed: it has no filter_groups"
        )

    def forward(self, frames: Tensor) -> Tensor:
        raise TypeError(f"{self.architecture.name} has no forward pass")


def build(name: str, settings: Mapping[str, Any], width: float, classes: int) -> TorchModel:
    """The network of gait/models/<name>.py with fresh weights."""
    return _channels_last(importlib.import_module(f"gait.models.{name}").build(settings, width, classes))


def _channels_last(model: TorchModel) -> TorchModel:
    """The model with its kernels in the memory order of the maps, so that no convolution rearranges them each time."""
    orders = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in model.parameters():
        if order := orders.get(parameter.dim()):
            parameter.data = parameter.data.contiguous(memory_format=order)
    return model


def check_settings(name: str, settings: Mapping[str, Any], required: str, *, bins_of_rows: int | None = None) -> None:
    """Refuse a wrong ``architecture`` section.

    Args:
        name: the model's name.
        settings: the section.
        required: the keys that it must have, with spaces between.
        bins_of_rows: the number of rows that each number of strips under ``bins`` must divide.

    Raises:
        DataError: a key is missing or unknown, or a number of strips does not divide.
    """
    keys = required.split()
    if set(settings) != set(keys):
        raise DataError(f"{name}: architecture takes {', '.join(keys)}, not {', '.join(settings) or 'nothing'}")
    if bins_of_rows and any(strips < 1 or bins_of_rows % strips for strips in settings["bins"]):
        raise DataError(
            f"{name}: architecture.bins = {settings['bins']}: each must divide the {bins_of_rows} rows of the last maps"
        )


def save(model: TorchModel, directory: Path) -> None:
    """Write architecture.json and weights.safetensors into an existing directory."""
    text = json.dumps({"framework": "torch", **asdict(model.architecture)}, indent=1)  # not sorted: channels are a chain
    (directory / "architecture.json").write_text(text + "\n", encoding="utf-8")
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, directory / "weights.safetensors")


def load(directory: Path) -> TorchModel:
    """Read a model that :func:`save` wrote; the network is in evaluation mode.

    Raises:
        DataError: the weights do not fit the architecture.
    """
    description = json.loads((directory / "architecture.json").read_text(encoding="utf-8"))
    description.pop("framework")
    model = TorchArchitecture(**description).build()
    try:
        model.load_state_dict(load_file(directory / "weights.safetensors"))
    except RuntimeError as error:
        raise DataError(f"{directory}/weights.safetensors does not fit architecture.json: {error}") from None
    return model.eval()


def _shape_only_input(model: TorchModel, frames: int) -> Tensor:
    """One sequence of this many frames, without memory for them."""
    return torch.empty(1, frames, *model.frame_shape, device="meta")


def signature_shape(model: TorchModel) -> list[int]:
    """The parts and channels of one signature: [parts, channels]."""
    return list(copy.deepcopy(model).to("meta").eval()(_shape_only_input(model, 1)).shape[1:])


def layers(model: TorchModel, frames: int) -> list[dict[str, Any]]:
    """The layers of a network, in the order in which data passes them.

    Args:
        model: the network.
        frames: the length of the sequence for which multiply-adds are counted.

    Returns:
        For each module with weights of its own: ``name``, ``kind``, ``output`` (its shape; the frames come first where the
        module sees each alone), ``params``, ``macs`` (multiply-adds of convolutions and matrix products), and for the
        classifier ``training_only``.
    """
    shape_only = copy.deepcopy(model).to("meta").eval()  # needs no memory and computes no values
    rows: dict[str, dict[str, Any]] = {}

    def row_writer(name: str, kind: str, params: int) -> Any:
        def hook(module: nn.Module, args: Any, output: Tensor) -> None:
            rows[name] = {"name": name, "kind": kind, "output": list(output.shape), "params": params}

        return hook

    counter_names = {}
    for name, module in shape_only.named_modules():
        weights = list(module.parameters(recurse=False))
        if weights:
            module.register_forward_hook(row_writer(name, type(module).__name__, sum(tensor.numel() for tensor in weights)))
            counter_names[name] = f"{type(shape_only).__name__}.{name}"
    with FlopCounterMode(display=False) as counter:
        signatures = shape_only(_shape_only_input(shape_only, frames))
    flops = counter.get_flop_counts()
    for name, row in rows.items():
        if row["output"][0] == 1:
            row["output"].pop(0)
        row["macs"] = sum(flops.get(counter_names[name], {}).values()) // 2
    if shape_only.classifier is not None:
        deployed = set(rows)
        shape_only.classifier(signatures)
        for name in rows.keys() - deployed:
            rows[name] |= {"macs": 0, "training_only": True}
    return list(rows.values())
