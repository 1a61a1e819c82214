"""GaitBase: a simple and strong residual network, nine convolutions deep (Fan et al., CVPR 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from gait.errors import DataError
from gait.networks.blocks import (
    BNNeck,
    NormUnit,
    ResidualBlock,
    SeparateFC,
    folded_frames,
    horizontal_pyramid_pooling,
    scaled,
    set_max,
)
from gait.networks.torch_model import FilterGroup, TorchArchitecture, TorchModel, check_settings, filter_group

STRIDES = (1, 2, 2, 1)


class GaitBase(TorchModel):
    """Frames [batch, frames, 64, 44] in 0..1 -> signatures [batch, sum(bins), embedding], in any order of frames."""

    def __init__(self, architecture: TorchArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.bins = list(architecture.settings["bins"])
        out = architecture.channels
        self.stem = NormUnit(1, out["stem"], 3)
        inputs = out["stem"]
        for number, stride in enumerate(STRIDES, start=1):
            name, projected = f"block{number}", f"block{number}.shortcut" in out
            hidden, outputs = out[f"{name}.conv1"], out[f"{name}.conv2"]
            self.add_module(name, ResidualBlock(inputs, hidden, outputs, stride, projected))
            inputs = outputs
        parts, embedding = sum(self.bins), architecture.settings["embedding"]
        self.fc = SeparateFC(parts, inputs, embedding)
        self.classifier = BNNeck(parts, embedding, architecture.classes)

    def forward(self, frames: Tensor) -> Tensor:
        maps = F.relu(self.stem(folded_frames(frames)))
        for number in range(1, len(STRIDES) + 1):
            maps = self.get_submodule(f"block{number}")(maps)
        return self.fc(horizontal_pyramid_pooling(set_max(maps, frames.shape[0]), self.bins))

    def filter_groups(self) -> list[FilterGroup]:
        """A block's sum ties its last convolution to its shortcut or, if that is the input itself, to the block before."""
        blocks = [f"block{number}" for number in range(1, len(STRIDES) + 1)]
        sums: list[list[str]] = [["stem"]]
        read_by: list[list[str]] = [[]]
        for block in blocks:
            read_by[-1].append(f"{block}.conv1")
            if f"{block}.shortcut" in self.architecture.channels:
                read_by[-1].append(f"{block}.shortcut")
                sums.append([f"{block}.conv2", f"{block}.shortcut"])
                read_by.append([])
            else:
                sums[-1].append(f"{block}.conv2")
        inner = [filter_group(f"{block}.conv1", (f"{block}.conv2.conv.weight", 1)) for block in blocks]
        outer = [
            filter_group(" ".join(units), *((f"{reader}.conv.weight", 1) for reader in readers))
            for units, readers in zip(sums[:-1], read_by[:-1], strict=True)
        ]
        last = filter_group(" ".join(sums[-1]), *((f"{reader}.conv.weight", 1) for reader in read_by[-1]), ("fc.weight", 1))
        return [*outer, *inner, last]


def build(settings: Mapping[str, Any], width: float, classes: int) -> GaitBase:
    """A network with fresh weights.

    The published size has 7,305,408 parameters for the 74 identities of CASIA-B, 28,108,992 for the 5153 of OU-MVLP.

    Args:
        settings: ``channels`` of the four blocks (64, 128, 256, 512), ``embedding`` (256), ``bins`` (16).
        width: multiplier of channels and embedding.
        classes: number of training identities.

    Raises:
        DataError: a setting is missing, unknown or out of range.
    """
    check_settings("gaitbase", settings, "channels embedding bins", bins_of_rows=16)
    if len(settings["channels"]) != len(STRIDES):
        raise DataError(f"gaitbase: architecture.channels = {settings['channels']}: must be {len(STRIDES)} numbers")
    stages = [scaled(channels, width) for channels in settings["channels"]]
    channels = {"stem": stages[0]}
    for number, (before, after, stride) in enumerate(zip([stages[0], *stages], stages, STRIDES, strict=False), start=1):
        channels |= {f"block{number}.conv1": after, f"block{number}.conv2": after}
        if stride > 1 or before != after:
            channels[f"block{number}.shortcut"] = after
    worked_in = {"embedding": scaled(settings["embedding"], width), "bins": list(settings["bins"])}
    return GaitBase(TorchArchitecture("gaitbase", worked_in, channels, classes))


from_architecture = GaitBase
