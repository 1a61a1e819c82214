"""GaitGL: global and local features of gait in 3D convolutions (Lin, Zhang and Yu, ICCV 2021).

Every layer has one convolution over the whole body and one over each horizontal strip by itself; an early layer aggregates
three frames into one. Generalised-mean pooling of rows, a separate FC for each row and batch norm give the signature. With
OpenGait's other head, BNNeck, the signature is that before the batch norm.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gait.errors import DataError
from gait.networks.blocks import BNNeck, SeparateFC, convolved_3d, maximum, scaled
from gait.networks.torch_model import FilterGroup, TorchArchitecture, TorchModel, check_settings, filter_group

HEADS = ("batch-norm", "bnneck")
ROWS = 32  # rows of the maps after one halving; the last layer stacks both its features, so there are twice as many parts


class Conv3dUnit(nn.Module):
    """A bias-free 3D convolution with LeakyReLU (slope 0.01), on maps [batch, channels, frames, height, width].

    Args:
        strips: horizontal strips, each convolved with padding of its own.
    """

    def __init__(self, inputs: int, outputs: int, strips: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, 3, padding=1, bias=False)
        self.strips = strips
        nn.init.xavier_uniform_(self.conv.weight)

    def forward(self, maps: Tensor) -> Tensor:
        if self.strips == 1:
            return F.leaky_relu_(convolved_3d(self.conv, maps), 0.01)
        # Strips join the batch: one convolution of all is at least twice as fast as one for each.
        batch, channels, length, height, width = maps.shape
        rows = height // self.strips
        folded = maps.reshape(batch, channels, length, self.strips, rows, width).permute(0, 3, 1, 2, 4, 5)
        convolved = F.leaky_relu_(self.conv(folded.reshape(batch * self.strips, channels, length, rows, width)), 0.01)
        unfolded = convolved.reshape(batch, self.strips, -1, length, rows, width).permute(0, 2, 3, 1, 4, 5)
        return unfolded.reshape(batch, -1, length, height, width)


class TemporalAggregation(nn.Module):
    """Three frames become one (section 3.3); one or two frames left over at the end of a sequence are dropped."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, (3, 1, 1), stride=(3, 1, 1), bias=False)
        nn.init.xavier_uniform_(self.conv.weight)

    def forward(self, maps: Tensor) -> Tensor:
        return F.leaky_relu_(self.conv(maps), 0.01)


class GLConv(nn.Module):
    """A global and a local convolution (section 3.2), their outputs added or, in the last layer, stacked in height."""

    def __init__(self, inputs: int, whole: int, local: int, strips: int, stacked: bool) -> None:
        super().__init__()
        self.whole = Conv3dUnit(inputs, whole)
        self.local = Conv3dUnit(inputs, local, strips)
        self.stacked = stacked

    def forward(self, maps: Tensor) -> Tensor:
        whole, local = self.whole(maps), self.local(maps)
        return torch.cat([whole, local], 3) if self.stacked else whole + local


class GeM(nn.Module):
    """Generalised mean over each row, with a learnt power: [batch, c, height, width] -> [batch, c, height]."""

    def __init__(self, power: float = 6.5, least: float = 1e-6) -> None:
        super().__init__()
        self.power = nn.Parameter(torch.full((1,), power))
        self.least = least

    def forward(self, maps: Tensor) -> Tensor:
        return maps.clamp(min=self.least).pow(self.power).mean(3).pow(1 / self.power)


class GaitGL(TorchModel):
    """Frames [batch, frames, 64, 44] in 0..1, in order -> signatures [batch, 64, embedding]."""

    def __init__(self, architecture: TorchArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        out, settings = architecture.channels, architecture.settings
        self.pool_after = settings["pool_after"]
        stem = [out[unit] for unit in out if unit.startswith("stem.")]
        self.stem = nn.Sequential(*(Conv3dUnit(*ends) for ends in pairwise([1, *stem])))
        self.aggregation = TemporalAggregation(stem[-1], out["aggregation"])
        inputs, strips = out["aggregation"], 2 ** settings["halving"]
        self.layers = nn.ModuleList()
        for number in range(settings["layers"]):
            whole, local = out[f"layers.{number}.whole"], out[f"layers.{number}.local"]
            self.layers.append(GLConv(inputs, whole, local, strips, stacked=number + 1 == settings["layers"]))
            inputs = whole
        self.gem = GeM()
        self.fc = SeparateFC(2 * ROWS, inputs, settings["embedding"])
        self.bn = None if settings.get("head") == "bnneck" else nn.BatchNorm1d(settings["embedding"])
        head = BNNeck if self.bn is None else SeparateFC
        self.classifier = head(2 * ROWS, settings["embedding"], architecture.classes)

    def forward(self, frames: Tensor) -> Tensor:
        # One or two frames are repeated until there are three to aggregate.
        length = frames.shape[1]
        maps = frames.repeat(1, (length + 2) // length, 1, 1)[:, None]
        maps = self.aggregation(self.stem(maps))
        for number, layer in enumerate(self.layers, start=1):
            maps = layer(maps)
            if number == self.pool_after:
                maps = F.max_pool3d(maps, (1, 2, 2))
        parts = self.gem(maximum(maps, 2)).transpose(1, 2)
        signatures = self.fc(parts)
        return signatures if self.bn is None else self.bn(signatures.transpose(1, 2)).transpose(1, 2)

    def filter_groups(self) -> list[FilterGroup]:
        """A chain; in each layer, a sum ties the global to the local convolution."""
        steps = [[unit] for unit in self.architecture.channels if not unit.startswith("layers.")]
        steps += [[f"layers.{number}.whole", f"layers.{number}.local"] for number in range(len(self.layers))]
        chain = [
            filter_group(" ".join(units), *((f"{reader}.conv.weight", 1) for reader in readers))
            for units, readers in pairwise(steps)
        ]
        # The generalised mean of zeros is its least value, not 0.
        return [*chain, filter_group(" ".join(steps[-1]), ("fc.weight", 1), along="gem")]


def build(settings: Mapping[str, Any], width: float, classes: int) -> GaitGL:
    """A network with fresh weights.

    The published size has 3,096,673 parameters for the 74 identities of CASIA-B, 95,620,449 for the 5153 of OU-MVLP,
    338,905,953 with BNNeck for the 20,000 of GREW.

    Args:
        settings: ``stem``, channels of the first 3D convolutions (CASIA-B: 32; OU-MVLP: 32, 32); ``layers``, channels of the
            global-local layers (64, 128, 128; 64, 64, 128, 128, 256, 256); ``pool_after``, the number of these layers before
            the maps are halved (1; 2); ``halving``, the number of strips as a power of 2 (3; 1); ``embedding`` (128; 256);
            optionally ``head``, ``batch-norm`` (if it is missing) or ``bnneck`` (GREW, beside the settings of OU-MVLP).
        width: multiplier of channels and embedding.
        classes: number of training identities.

    Raises:
        DataError: a setting is missing, unknown or out of range.
    """
    head = settings.get("head", HEADS[0])
    check_settings("gaitgl", {**settings, "head": head}, "stem layers pool_after halving embedding head")
    stem, layers = ([scaled(channels, width) for channels in settings[key]] for key in ("stem", "layers"))
    if not stem or not layers:
        raise DataError("gaitgl: architecture.stem and architecture.layers must each have at least one number")
    if not 1 <= settings["pool_after"] < len(layers):
        raise DataError(f"gaitgl: architecture.pool_after = {settings['pool_after']}: must be 1 to {len(layers) - 1}")
    if settings["halving"] < 0 or ROWS % 2 ** settings["halving"]:
        raise DataError(f"gaitgl: architecture.halving = {settings['halving']}: 2**halving must divide {ROWS} rows")
    if head not in HEADS:
        raise DataError(f"gaitgl: architecture.head = {head}: must be {' or '.join(HEADS)}")
    channels = {f"stem.{number}": count for number, count in enumerate(stem)} | {"aggregation": stem[-1]}
    for number, count in enumerate(layers):
        channels |= {f"layers.{number}.whole": count, f"layers.{number}.local": count}
    worked_in = {
        "layers": len(layers),
        "pool_after": settings["pool_after"],
        "halving": settings["halving"],
        "embedding": scaled(settings["embedding"], width),
        "head": head,
    }
    return GaitGL(TorchArchitecture("gaitgl", worked_in, channels, classes))


from_architecture = GaitGL
