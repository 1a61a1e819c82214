"""GLN: the gait lateral network (Hou et al., ECCV 2020).

A silhouette branch and a set branch meet at three depths; lateral connections carry the deeper, coarser features to the
finer ones, as in a feature pyramid. In a second phase of training, a compact block learns to tell identities apart by all
parts together. Tests use the parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gait.errors import DataError
from gait.networks.blocks import ConvUnit, SeparateFC, folded_frames, horizontal_pyramid_pooling, scaled, set_max
from gait.networks.torch_model import FilterGroup, TorchArchitecture, TorchModel, check_settings, filter_group


class PlainConv(nn.Module):
    """A bias-free convolution without an activation."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        nn.init.xavier_uniform_(self.conv.weight)

    def forward(self, maps: Tensor) -> Tensor:
        return self.conv(maps)


class CompactBlock(nn.Module):
    """Signatures [batch, parts, channels] -> a short vector -> logits [batch, 1, classes] (section 3.3)."""

    def __init__(self, inputs: int, compact: int, dropout: float, classes: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(inputs)
        self.dropout = nn.Dropout(dropout)
        self.reduce = nn.Linear(inputs, compact, bias=False)
        self.reduced_bn = nn.BatchNorm1d(compact)
        self.classes = nn.Linear(compact, classes, bias=False)
        for norm in (self.bn, self.reduced_bn):
            norm.bias.requires_grad_(False)

    def forward(self, signatures: Tensor) -> Tensor:
        features = F.relu(self.dropout(self.bn(signatures.flatten(1))))
        return self.classes(self.reduced_bn(self.reduce(features)))[:, None]


class GLN(TorchModel):
    """Frames [batch, frames, 128, 88] in 0..1 -> signatures [batch, 3 * sum(bins), embedding], in any order of frames."""

    frame_shape = (128, 88)

    def __init__(self, architecture: TorchArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.bins = list(architecture.settings["bins"])
        out, embedding = architecture.channels, architecture.settings["embedding"]
        self.frame1 = ConvUnit(1, out["frame1"], 5)
        self.frame2 = ConvUnit(out["frame1"], out["frame2"], 3)
        self.frame3 = ConvUnit(out["frame2"], out["frame3"], 3)
        self.frame4 = ConvUnit(out["frame3"], out["frame4"], 3)
        self.frame5 = ConvUnit(out["frame4"], out["frame5"], 3)
        self.frame6 = ConvUnit(out["frame5"], out["frame6"], 3)
        self.set3 = ConvUnit(out["frame2"], out["set3"], 3)
        self.set4 = ConvUnit(out["set3"], out["set4"], 3)
        self.set5 = ConvUnit(out["set4"], out["set5"], 3)
        self.set6 = ConvUnit(out["set5"], out["set6"], 3)
        self.lateral1 = PlainConv(2 * out["frame2"], out["lateral1"], 1)
        self.lateral2 = PlainConv(2 * out["frame4"], out["lateral2"], 1)
        self.lateral3 = PlainConv(2 * out["frame6"], out["lateral3"], 1)
        self.smooth1 = PlainConv(out["lateral1"], out["smooth1"], 3)
        self.smooth2 = PlainConv(out["lateral2"], out["smooth2"], 3)
        self.smooth3 = PlainConv(out["lateral3"], out["smooth3"], 3)
        parts = 3 * sum(self.bins)
        self.fc = SeparateFC(parts, out["smooth1"], embedding)
        if architecture.classes:
            compact, dropout = architecture.settings["compact"], architecture.settings["dropout"]
            self.classifier = CompactBlock(parts * embedding, compact, dropout, architecture.classes)

    def forward(self, frames: Tensor) -> Tensor:
        batch = frames.shape[0]
        maps = self.frame2(self.frame1(folded_frames(frames)))
        set1 = set_max(maps, batch)
        maps = self.frame4(self.frame3(F.max_pool2d(maps, 2)))
        set2 = set_max(maps, batch)
        set3 = set_max(self.frame6(self.frame5(F.max_pool2d(maps, 2))), batch)
        whole2 = self.set4(self.set3(F.max_pool2d(set1, 2))) + set2
        whole3 = self.set6(self.set5(F.max_pool2d(whole2, 2))) + set3
        coarse = self.lateral3(torch.cat([set3, whole3], 1))
        middle = self.lateral2(torch.cat([set2, whole2], 1)) + F.interpolate(coarse, scale_factor=2)
        fine = self.lateral1(torch.cat([set1, set1], 1)) + F.interpolate(middle, scale_factor=2)
        levels = [self.smooth1(fine), self.smooth2(middle), self.smooth3(coarse)]
        return self.fc(torch.cat([horizontal_pyramid_pooling(maps, self.bins) for maps in levels], 1))

    def filter_groups(self) -> list[FilterGroup]:
        """Sums tie both branches at every depth, and all laterals; the FC ties the smoothing layers."""
        return [
            filter_group("frame1", ("frame2.conv.weight", 1)),
            filter_group("frame2", ("frame3.conv.weight", 1), ("set3.conv.weight", 1), ("lateral1.conv.weight", 1, 2)),
            filter_group("frame3", ("frame4.conv.weight", 1)),
            filter_group("set3", ("set4.conv.weight", 1)),
            filter_group("frame4 set4", ("frame5.conv.weight", 1), ("set5.conv.weight", 1), ("lateral2.conv.weight", 1, 2)),
            filter_group("frame5", ("frame6.conv.weight", 1)),
            filter_group("set5", ("set6.conv.weight", 1)),
            filter_group("frame6 set6", ("lateral3.conv.weight", 1, 2)),
            filter_group("lateral1 lateral2 lateral3", *((f"smooth{level}.conv.weight", 1) for level in (1, 2, 3))),
            filter_group("smooth1 smooth2 smooth3", ("fc.weight", 1)),
        ]


def build(settings: Mapping[str, Any], width: float, classes: int) -> GLN:
    """A network with fresh weights.

    The published size has 8,541,984 parameters, and 14,703,904 with the compact block of the second phase for the 74
    identities of CASIA-B.

    Args:
        settings: ``channels`` of the three stages (32, 64, 128), ``lateral`` channels (256), ``embedding`` (256), ``bins``
            (16, 8, 4, 2, 1), ``compact``, the width of the compact block (256; 0 for the first phase, which has none),
            the ``dropout`` in it (0.9).
        width: multiplier of channels, embedding and the compact block.
        classes: number of training identities; not used without a compact block.

    Raises:
        DataError: a setting is missing, unknown or out of range.
    """
    check_settings("gln", settings, "channels lateral embedding bins compact dropout", bins_of_rows=32)
    if len(settings["channels"]) != 3:
        raise DataError(f"gln: architecture.channels = {settings['channels']}: must be three numbers")
    first, second, third = (scaled(channels, width) for channels in settings["channels"])
    lateral = scaled(settings["lateral"], width)
    channels = {
        "frame1": first, "frame2": first, "frame3": second, "frame4": second, "frame5": third, "frame6": third,
        "set3": second, "set4": second, "set5": third, "set6": third,
        "lateral1": lateral, "lateral2": lateral, "lateral3": lateral,
        "smooth1": lateral, "smooth2": lateral, "smooth3": lateral,
    }  # fmt: skip
    worked_in = {"embedding": scaled(settings["embedding"], width), "bins": list(settings["bins"])}
    if settings["compact"]:
        worked_in |= {"compact": scaled(settings["compact"], width), "dropout": settings["dropout"]}
    return GLN(TorchArchitecture("gln", worked_in, channels, classes if settings["compact"] else 0))


from_architecture = GLN
