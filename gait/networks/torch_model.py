"""What a PyTorch gait model is: a network that can say how it is built, be rebuilt narrower, saved and loaded.

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
        parameter: its name in the network's state.
        axis: the axis.
        blocks: how often the channels follow one another along it, as where a tensor reads their concatenation.
    """

    parameter: str
    axis: int
    blocks: int = 1


@dataclass(frozen=True)
class FilterGroup:
    """Filters that can only be removed together, since their outputs are added or share what reads them.

    Attributes:
        units: modules whose output channels these are, on axis 1; the convolution of unit ``u`` is ``u.conv``. The first
            one's name is the group's.
        readers: what reads them.
        along: modules on the way that keep channels apart and make something else than 0 of 0.
    """

    units: tuple[str, ...]
    readers: tuple[Reader, ...]
    along: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.units[0]


def filter_group(units: str, *readers: tuple[str, int] | tuple[str, int, int], along: str = "") -> FilterGroup:
    """A group from names with spaces between and (parameter, axis[, blocks]) of its readers."""
    return FilterGroup(tuple(units.split()), tuple(Reader(*reader) for reader in readers), tuple(along.split()))


@dataclass(frozen=True)
class TorchArchitecture:
    """All that is needed to build a network again, without its weights.

    Attributes:
        name: the model's file in gait/models.
        settings: its ``architecture`` section of params.yaml, with the width worked in.
        channels: output channels of every prunable unit.
        classes: identities that its classifier tells apart; 0 without one.
    """

    name: str
    settings: Mapping[str, Any]
    channels: Mapping[str, int]
    classes: int = 0

    def build(self) -> TorchModel:
        """The network with fresh weights."""
        return importlib.import_module(f"gait.models.{self.name}").from_architecture(self)


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
        """All prunable filters, grouped by what must be removed together, from input to output."""
        raise DataError(
            f"{self.architecture.name} does not say which of its filters can be removed: it has no filter_groups"
        )

    def forward(self, frames: Tensor) -> Tensor:
        raise TypeError(f"{self.architecture.name} has no forward pass")


def build(name: str, settings: Mapping[str, Any], width: float, classes: int) -> TorchModel:
    """The network of gait/models/<name>.py with fresh weights."""
    return importlib.import_module(f"gait.models.{name}").build(settings, width, classes)


def check_settings(name: str, settings: Mapping[str, Any], known: str, *, bins_of_rows: int | None = None) -> None:
    """Refuse a wrong ``architecture`` section.

    Args:
        name: of the model.
        settings: the section.
        known: the keys it must have, with spaces between.
        bins_of_rows: the rows that the numbers of strips under ``bins`` must divide.

    Raises:
        DataError: a key is missing or unknown, or a number of strips does not divide.
    """
    keys = known.split()
    if set(settings) != set(keys):
        raise DataError(f"{name}: architecture takes {', '.join(keys)}, not {', '.join(settings) or 'nothing'}")
    if bins_of_rows and any(strips < 1 or bins_of_rows % strips for strips in settings["bins"]):
        raise DataError(
            f"{name}: architecture.bins = {settings['bins']}: each must divide the {bins_of_rows} rows of the last maps"
        )


def save(model: TorchModel, directory: Path) -> None:
    """Write architecture.json and weights.safetensors into an existing directory."""
    text = json.dumps({"framework": "torch", **asdict(model.architecture)}, indent=1)  # in order: channels are a chain
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


def _nothing(model: TorchModel, frames: int) -> Tensor:
    return torch.empty(1, frames, *model.frame_shape, device="meta")


def signature_shape(model: TorchModel) -> list[int]:
    """Parts and channels of one signature."""
    return list(copy.deepcopy(model).to("meta").eval()(_nothing(model, 1)).shape[1:])


def layers(model: TorchModel, frames: int) -> list[dict[str, Any]]:
    """What a network is made of, in the order in which data passes.

    Args:
        model: the network.
        frames: of the sequence that is counted.

    Returns:
        For each module with weights of its own: ``name``, ``kind``, ``output`` (its shape; the frames come first where each
        is seen alone), ``params``, ``macs`` (multiply-adds of convolutions and matrix products), and for the
        classifier ``training_only``.
    """
    shadow = copy.deepcopy(model).to("meta").eval()  # shapes alone: no memory, no computing
    rows: dict[str, dict[str, Any]] = {}

    def note(name: str, kind: str, params: int) -> Any:
        def hook(module: nn.Module, args: Any, output: Tensor) -> None:
            rows[name] = {"name": name, "kind": kind, "output": list(output.shape), "params": params}

        return hook

    counted = {}
    for name, module in shadow.named_modules():
        own = list(module.parameters(recurse=False))
        if own:
            module.register_forward_hook(note(name, type(module).__name__, sum(tensor.numel() for tensor in own)))
            counted[name] = f"{type(shadow).__name__}.{name}"
    with FlopCounterMode(display=False) as counter:
        signatures = shadow(_nothing(shadow, frames))
    flops = counter.get_flop_counts()
    for name, row in rows.items():
        if row["output"][0] == 1:
            row["output"].pop(0)
        row["macs"] = sum(flops.get(counted[name], {}).values()) // 2
    if shadow.classifier is not None:
        known = set(rows)
        shadow.classifier(signatures)
        for name in rows.keys() - known:
            rows[name] |= {"macs": 0, "training_only": True}
    return list(rows.values())
