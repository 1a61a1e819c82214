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


class Baseline(TorchModel):
    """Frames [batch, frames, 64, 44] in 0..1 -> signatures [batch, sum(bins), embedding], in any order of frames."""

    def __init__(self, architecture: TorchArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.bins = list(architecture.settings["bins"])
        out = {unit.removeprefix("convs."): count for unit, count in architecture.channels.items()}
        self.convs = PlainConvs(out, [1] * len(out))
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

    The published size has 3,779,136 parameters for the 74 identities of CASIA-B, 44,112,928 for the 5153 of OU-MVLP.

    Args:
        settings: ``channels`` of the stages of two convolutions, three or more (CASIA-B: 64, 128, 256; OU-MVLP: 32, 64,
            128, 256), ``embedding`` (256), ``bins`` (16, 8, 4, 2, 1). The maps are halved after the first two stages.
        width: multiplier of channels and embedding.
        classes: number of training identities.

    Raises:
        DataError: a setting is missing, unknown or out of range.
    """
    check_settings("baseline", settings, "channels embedding bins", bins_of_rows=16)
    if len(settings["channels"]) < 3:
        raise DataError(f"baseline: architecture.channels = {settings['channels']}: must be three numbers or more")
    twice = [scaled(channels, width) for channels in settings["channels"] for _ in range(2)]
    channels = {f"convs.conv{number}": count for number, count in enumerate(twice, start=1)}
    worked_in = {"embedding": scaled(settings["embedding"], width), "bins": list(settings["bins"])}
    return Baseline(TorchArchitecture("baseline", worked_in, channels, classes))


from_architecture = Baseline
