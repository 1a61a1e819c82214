"""Baseline: a plain convolutional network with a set maximum and BNNeck (the OpenGait benchmark's first model).

The same plain convolutions see every silhouette; the maximum over frames, pyramid pooling and a separate FC for each strip
give the signature. Tests use the signature before the batch norm of BNNeck.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from torch import Tensor

from gait.errors import DataError
from gait.networks.blocks import BNNeck, PlainConvs, SeparateFC, folded_frames, horizontal_pyramid_pooling, scaled, set_max
from gait.networks.torch_model import FilterGroup, TorchArchitecture, TorchModel, check_settings, filter_group

ROWS, COLUMNS = 16, 11  # of the maps after all poolings
POOLINGS = (2, 3)


class Baseline(TorchModel):
    """Frames [batch, frames, 64, 44] in 0..1 -> signatures [batch, sum(bins), embedding], in any order of frames.

    With three poolings the frames are [batch, frames, 128, 88].
    """

    def __init__(self, architecture: TorchArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.bins = list(architecture.settings["bins"])
        poolings = architecture.settings.get("poolings", POOLINGS[0])
        self.frame_shape = (ROWS * 2**poolings, COLUMNS * 2**poolings)
        out = {unit.removeprefix("convs."): count for unit, count in architecture.channels.items()}
        self.convs = PlainConvs(out, [1] * len(out), poolings)
        parts, embedding = sum(self.bins), architecture.settings["embedding"]
        self.fc = SeparateFC(parts, [*out.values()][-1], embedding)
        self.classifier = BNNeck(parts, embedding, architecture.classes)

    def forward(self, frames: Tensor) -> Tensor:
        maps = self.convs(folded_frames(frames))
        return self.fc(horizontal_pyramid_pooling(set_max(maps, frames.shape[0]), self.bins))

    def filter_groups(self) -> list[FilterGroup]:
        """A chain: each convolution reads the one before, the FC reads the last."""
        units = list(self.architecture.channels)
        chain = [filter_group(unit, (f"{following}.conv.weight", 1)) for unit, following in pairwise(units)]
        return [*chain, filter_group(units[-1], ("fc.weight", 1))]


def build(settings: Mapping[str, Any], width: float, classes: int) -> Baseline:
    """A network with fresh weights.

    The published size has 3,779,136 parameters for the 74 identities of CASIA-B, 44,112,928 for the 5153 of OU-MVLP,
    12,730,432 for the 500 of HID.

    Args:
        settings: ``channels`` of the stages of two convolutions, three or more (CASIA-B: 64, 128, 256; OU-MVLP: 32, 64,
            128, 256; HID: 64, 128, 256, 512), ``embedding`` (256), ``bins`` (16, 8, 4, 2, 1); optionally ``poolings``, the
            number of first stages after each of which the maps are halved: 2 (if it is missing) or 3 (HID).
        width: multiplier of channels and embedding.
        classes: number of training identities.

    Raises:
        DataError: a setting is missing, unknown or out of range.
    """
    poolings = settings.get("poolings", POOLINGS[0])
    check_settings("baseline", {**settings, "poolings": poolings}, "channels embedding bins poolings", bins_of_rows=ROWS)
    if len(settings["channels"]) < 3:
        raise DataError(f"baseline: architecture.channels = {settings['channels']}: must be three numbers or more")
    if poolings not in POOLINGS:
        raise DataError(f"baseline: architecture.poolings = {poolings}: must be {' or '.join(map(str, POOLINGS))}")
    twice = [scaled(channels, width) for channels in settings["channels"] for _ in range(2)]
    channels = {f"convs.conv{number}": count for number, count in enumerate(twice, start=1)}
    worked_in = {"embedding": scaled(settings["embedding"], width), "bins": list(settings["bins"]), "poolings": poolings}
    return Baseline(TorchArchitecture("baseline", worked_in, channels, classes))


from_architecture = Baseline
