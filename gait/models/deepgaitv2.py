"""DeepGaitV2: deep residual networks of 2D, pseudo-3D or 3D convolutions (Fan et al., arXiv 2303.03301, section 4).

The stem and the first stage see each frame alone in all three. In later stages, a block of "3d" convolves over three frames
at a time; one of "p3d" convolves each frame alone and adds, after its first convolution, one over time at every pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from gait.errors import DataError
from gait.networks.blocks import (
    BNNeck,
    NormUnit,
    ResidualBlock,
    SeparateFC,
    convolved_3d,
    folded_frames,
    horizontal_pyramid_pooling,
    maximum,
    scaled,
    set_max,
)
from gait.networks.torch_model import FilterGroup, TorchArchitecture, TorchModel, check_settings, filter_group

MODES = ("2d", "p3d", "3d")
STRIDES = (1, 2, 2, 1)  # of the first block of each stage, in height and width; no stride is in time


class TemporalUnit(nn.Module):
    """A bias-free convolution over three frames at every pixel, with batch norm, on maps [batch * frames, c, h, w]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, (3, 1), padding=(1, 0), bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        nn.init.xavier_uniform_(self.conv.weight)

    def forward(self, maps: Tensor, batch: int) -> Tensor:
        height, width = maps.shape[2:]
        in_time = maps.flatten(2).reshape(batch, -1, maps.shape[1], height * width).transpose(1, 2)  # [b, c, frames, pixels]
        convolved = self.bn(self.conv(in_time)).transpose(1, 2)
        return convolved.reshape(-1, convolved.shape[2], height, width)


class PseudoBlock(nn.Module):
    """A residual block with a convolution over time, added to what its first convolution gives (Qiu et al., ICCV 2017)."""

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int, projected: bool) -> None:
        super().__init__()
        self.conv1 = NormUnit(inputs, hidden, 3, stride)
        self.temporal = TemporalUnit(hidden, hidden)
        self.conv2 = NormUnit(hidden, outputs, 3)
        self.shortcut = NormUnit(inputs, outputs, 1, stride) if projected else nn.Identity()

    def forward(self, maps: Tensor, batch: int) -> Tensor:
        hidden = F.relu(self.conv1(maps))
        hidden = F.relu(hidden + self.temporal(hidden, batch))
        return F.relu(self.conv2(hidden) + self.shortcut(maps))


class NormUnit3d(nn.Module):
    """A bias-free 3D convolution with batch norm, on maps [batch, channels, frames, height, width]."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, kernel, (1, stride, stride), kernel // 2, bias=False)
        self.bn = nn.BatchNorm3d(outputs)
        nn.init.xavier_uniform_(self.conv.weight)

    def forward(self, maps: Tensor) -> Tensor:
        return self.bn(convolved_3d(self.conv, maps))


class ResidualBlock3d(nn.Module):
    """Two 3D convolutions beside a shortcut, which is the input itself or a 1x1x1 convolution."""

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int, projected: bool) -> None:
        super().__init__()
        self.conv1 = NormUnit3d(inputs, hidden, 3, stride)
        self.conv2 = NormUnit3d(hidden, outputs, 3)
        self.shortcut = NormUnit3d(inputs, outputs, 1, stride) if projected else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(self.conv2(F.relu(self.conv1(maps))) + self.shortcut(maps))


BLOCKS: Mapping[str, Any] = {"2d": ResidualBlock, "p3d": PseudoBlock, "3d": ResidualBlock3d}


class DeepGaitV2(TorchModel):
    """Frames [batch, frames, 64, 44] in 0..1 -> signatures [batch, sum(bins), embedding]; "2d" takes any order of frames."""

    def __init__(self, architecture: TorchArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.mode, self.bins = architecture.settings["mode"], list(architecture.settings["bins"])
        out = architecture.channels
        self.stem = NormUnit(1, out["stem"], 3)
        inputs = out["stem"]
        for stage, stride in enumerate(STRIDES, start=1):
            kind = BLOCKS[self.mode if stage > 1 else "2d"]
            blocks = nn.ModuleList()
            for place in range(architecture.settings["blocks"][stage - 1]):
                name = f"stage{stage}.{place}"
                hidden, outputs = out[f"{name}.conv1"], out[f"{name}.conv2"]
                projected = f"{name}.shortcut" in out
                blocks.append(kind(inputs, hidden, outputs, stride if place == 0 else 1, projected))
                inputs = outputs
            self.add_module(f"stage{stage}", blocks)
        parts, embedding = sum(self.bins), architecture.settings["embedding"]
        self.fc = SeparateFC(parts, inputs, embedding)
        self.classifier = BNNeck(parts, embedding, architecture.classes)

    def forward(self, frames: Tensor) -> Tensor:
        batch = frames.shape[0]
        maps = F.relu(self.stem(folded_frames(frames)))
        for block in self._blocks(1):
            maps = block(maps)
        if self.mode == "3d":
            maps = maps.reshape(batch, -1, *maps.shape[1:]).transpose(1, 2)
        for block in (block for stage in range(2, len(STRIDES) + 1) for block in self._blocks(stage)):
            maps = block(maps, batch) if self.mode == "p3d" else block(maps)
        pooled = maximum(maps, 2) if self.mode == "3d" else set_max(maps, batch)
        return self.fc(horizontal_pyramid_pooling(pooled, self.bins))

    def _blocks(self, stage: int) -> list[nn.Module]:
        return list(self.get_submodule(f"stage{stage}").children())

    def filter_groups(self) -> list[FilterGroup]:
        """Sums tie: of a stage's blocks, all that their shortcuts add up; in a "p3d" block, both its inner convolutions."""
        units = self.architecture.channels
        sums: list[list[str]] = [["stem"]]
        read_by: list[list[str]] = [[]]
        inner = []
        for block in (name.removesuffix(".conv1") for name in units if name.endswith(".conv1")):
            read_by[-1].append(f"{block}.conv1")
            if f"{block}.shortcut" in units:
                read_by[-1].append(f"{block}.shortcut")
                sums.append([f"{block}.conv2", f"{block}.shortcut"])
                read_by.append([])
            else:
                sums[-1].append(f"{block}.conv2")
            temporal = [f"{block}.temporal"] if f"{block}.temporal" in units else []
            readers = [(f"{reader}.conv.weight", 1) for reader in (*temporal, f"{block}.conv2")]
            inner.append(filter_group(" ".join([f"{block}.conv1", *temporal]), *readers))
        outer = [
            filter_group(" ".join(tied), *((f"{reader}.conv.weight", 1) for reader in readers))
            for tied, readers in zip(sums[:-1], read_by[:-1], strict=True)
        ]
        last = filter_group(" ".join(sums[-1]), *((f"{reader}.conv.weight", 1) for reader in read_by[-1]), ("fc.weight", 1))
        return [*outer, *inner, last]


def build(settings: Mapping[str, Any], width: float, classes: int) -> DeepGaitV2:
    """A network with fresh weights.

    With one block a stage and the 74 identities of CASIA-B, it has 7,305,408 parameters in mode 2d, 8,339,392 in p3d,
    16,595,136 in 3d; with blocks 1, 4, 4, 1 and the 3000 of Gait3D, 23,718,592, 25,492,160 and 41,855,680.

    Args:
        settings: ``mode`` (2d, p3d or 3d), ``channels`` of the four stages (64, 128, 256, 512), ``blocks`` of each,
            ``embedding`` (256), ``bins`` (16).
        width: multiplier of channels and embedding.
        classes: number of training identities.

    Raises:
        DataError: a setting is missing, unknown or out of range.
    """
    check_settings("deepgaitv2", settings, "mode channels blocks embedding bins", bins_of_rows=16)
    if settings["mode"] not in MODES:
        raise DataError(f"deepgaitv2: architecture.mode = {settings['mode']}: must be one of {', '.join(MODES)}")
    for key in ("channels", "blocks"):
        if len(settings[key]) != len(STRIDES) or min(settings[key]) < 1:
            raise DataError(
                f"deepgaitv2: architecture.{key} = {settings[key]}: must be {len(STRIDES)} numbers of at least 1"
            )
    stages = [scaled(channels, width) for channels in settings["channels"]]
    channels, before = {"stem": stages[0]}, stages[0]
    for stage, (after, stride, blocks) in enumerate(zip(stages, STRIDES, settings["blocks"], strict=True), start=1):
        for place in range(blocks):
            block = f"stage{stage}.{place}"
            channels[f"{block}.conv1"] = after
            if stage > 1 and settings["mode"] == "p3d":
                channels[f"{block}.temporal"] = after
            channels[f"{block}.conv2"] = after
            if place == 0 and (stride > 1 or before != after):
                channels[f"{block}.shortcut"] = after
            before = after
    worked_in = {
        "mode": settings["mode"],
        "blocks": list(settings["blocks"]),
        "embedding": scaled(settings["embedding"], width),
        "bins": list(settings["bins"]),
    }
    return DeepGaitV2(TorchArchitecture("deepgaitv2", worked_in, channels, classes))


from_architecture = DeepGaitV2
