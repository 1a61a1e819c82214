"""GaitSet: gait as a set of silhouettes (Chao et al., AAAI 2019; TPAMI 2021).

A frame branch sees each silhouette alone. At three depths, set pooling (the maximum over frames) turns its maps into maps of
the set, which a global branch gathers. Horizontal pyramid pooling cuts both into strips, each with its own FC.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from gait.errors import DataError
from gait.networks.blocks import ConvUnit, SeparateFC, folded_frames, horizontal_pyramid_pooling, scaled, set_max
from gait.networks.torch_model import FilterGroup, TorchArchitecture, TorchModel, check_settings, filter_group


class GaitSet(TorchModel):
    """Frames [batch, frames, 64, 44] in 0..1 -> signatures [batch, 2 * sum(bins), embedding].

    The order of the frames does not matter. Parts 0 .. sum(bins)-1 come from the frame branch, the others from the
    global branch.
    """

    def __init__(self, architecture: TorchArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.bins = list(architecture.settings["bins"])
        out = architecture.channels
        self.frame1 = ConvUnit(1, out["frame1"], 5)
        self.frame2 = ConvUnit(out["frame1"], out["frame2"], 3)
        self.frame3 = ConvUnit(out["frame2"], out["frame3"], 3)
        self.frame4 = ConvUnit(out["frame3"], out["frame4"], 3)
        self.frame5 = ConvUnit(out["frame4"], out["frame5"], 3)
        self.frame6 = ConvUnit(out["frame5"], out["frame6"], 3)
        self.global1 = ConvUnit(out["frame2"], out["global1"], 3)
        self.global2 = ConvUnit(out["global1"], out["global2"], 3)
        self.global3 = ConvUnit(out["global2"], out["global3"], 3)
        self.global4 = ConvUnit(out["global3"], out["global4"], 3)
        self.fc = SeparateFC(2 * sum(self.bins), out["frame6"], architecture.settings["embedding"])

    def forward(self, frames: Tensor) -> Tensor:
        batch = frames.shape[0]
        maps = F.max_pool2d(self.frame2(self.frame1(folded_frames(frames))), 2)
        whole = F.max_pool2d(self.global2(self.global1(set_max(maps, batch))), 2)
        maps = F.max_pool2d(self.frame4(self.frame3(maps)), 2)
        whole = self.global4(self.global3(whole + set_max(maps, batch)))
        maps = set_max(self.frame6(self.frame5(maps)), batch)
        whole = whole + maps
        parts = [horizontal_pyramid_pooling(branch, self.bins) for branch in (maps, whole)]
        return self.fc(torch.cat(parts, 1))

    def filter_groups(self) -> list[FilterGroup]:
        """The 832 filters (at the published width); sums of both branches tie frame4 to global2, frame6 to global4."""
        return [
            filter_group("frame1", ("frame2.conv.weight", 1)),
            filter_group("frame2", ("frame3.conv.weight", 1), ("global1.conv.weight", 1)),
            filter_group("frame3", ("frame4.conv.weight", 1)),
            filter_group("global1", ("global2.conv.weight", 1)),
            filter_group("frame4 global2", ("frame5.conv.weight", 1), ("global3.conv.weight", 1)),
            filter_group("frame5", ("frame6.conv.weight", 1)),
            filter_group("global3", ("global4.conv.weight", 1)),
            filter_group("frame6 global4", ("fc.weight", 1)),
        ]


def build(settings: Mapping[str, Any], width: float, classes: int) -> GaitSet:
    """A network with fresh weights.

    The published size has 2,594,592 parameters for CASIA-B and 6,313,536 for OU-MVLP.

    Args:
        settings: ``channels`` of the three stages (CASIA-B: 32, 64, 128; OU-MVLP: 64, 128, 256), ``embedding`` (256),
            ``bins`` (16, 8, 4, 2, 1).
        width: multiplier of channels and embedding.
        classes: not used, since there is no classifier.

    Raises:
        DataError: a setting is missing, unknown or out of range.
    """
    check_settings("gaitset", settings, "channels embedding bins", bins_of_rows=16)
    if len(settings["channels"]) != 3:
        raise DataError(f"gaitset: architecture.channels = {settings['channels']}: must be three numbers")
    first, second, third = (scaled(channels, width) for channels in settings["channels"])
    channels = {
        "frame1": first, "frame2": first, "frame3": second, "frame4": second, "frame5": third, "frame6": third,
        "global1": second, "global2": second, "global3": third, "global4": third,
    }  # fmt: skip
    worked_in = {"embedding": scaled(settings["embedding"], width), "bins": list(settings["bins"])}
    return GaitSet(TorchArchitecture("gaitset", worked_in, channels))


from_architecture = GaitSet
