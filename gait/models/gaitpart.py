"""GaitPart: temporal part-based gait recognition (Fan et al., CVPR 2020).

Focal convolutions see each horizontal strip by itself. Every part then has its own temporal feature aggregator, which weighs
short-range motion by attention before the maximum over time: the order of frames matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from gait.errors import DataError
from gait.networks.blocks import PlainConvs, SeparateFC, folded_frames, horizontal_pyramid_pooling, scaled
from gait.networks.torch_model import FilterGroup, TorchArchitecture, TorchModel, check_settings, filter_group

PARTS = 16
SQUEEZE = 4


class MicroMotion(nn.Module):
    """Attention over short windows of frames, each part with its own weights (section 3.3, MCM).

    The parts are groups of channels: input and output are [batch, parts * channels, frames].

    Args:
        kernel: size of the second convolution; the templates are means and maxima over ``kernel + 2`` frames.
    """

    def __init__(self, channels: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.window = kernel + 2
        self.squeeze = nn.Conv1d(PARTS * channels, PARTS * hidden, 3, padding=1, groups=PARTS, bias=False)
        self.expand = nn.Conv1d(PARTS * hidden, PARTS * channels, kernel, padding=kernel // 2, groups=PARTS, bias=False)
        for conv in (self.squeeze, self.expand):
            # Xavier's fans of all groups together would be sixteen times too large, so each group is initialised by itself.
            for part in conv.weight.data.chunk(PARTS):
                nn.init.xavier_uniform_(part)

    def forward(self, features: Tensor) -> Tensor:
        scores = self.expand(F.leaky_relu(self.squeeze(features), 0.01)).sigmoid()
        around = self.window // 2
        # The zeros beyond the ends count in the mean, as in the published implementation.
        mean = F.avg_pool1d(features, self.window, 1, around)
        return scores * (mean + F.max_pool1d(features, self.window, 1, around))


class GaitPart(TorchModel):
    """Frames [batch, frames, 64, 44] in 0..1, in order -> signatures [batch, 16, embedding]."""

    def __init__(self, architecture: TorchArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        out = {unit.removeprefix("convs."): count for unit, count in architecture.channels.items()}
        last = [*out.values()][-1]
        strips = [2**halving for halving in architecture.settings["halving"] for _ in range(2)]
        self.convs = PlainConvs(out, strips)
        self.short = MicroMotion(last, architecture.settings["hidden"], 1)
        self.long = MicroMotion(last, architecture.settings["hidden"], 3)
        self.fc = SeparateFC(PARTS, last, architecture.settings["embedding"])

    def forward(self, frames: Tensor) -> Tensor:
        batch, length = frames.shape[:2]
        maps = self.convs(folded_frames(frames))
        parts = horizontal_pyramid_pooling(maps, [PARTS])
        features = parts.reshape(batch, length, -1).transpose(1, 2)
        motion = (self.short(features) + self.long(features)).amax(2)
        return self.fc(motion.reshape(batch, PARTS, -1))

    def filter_groups(self) -> list[FilterGroup]:
        """A chain; the aggregators keep the last convolution's channels apart on the way to the FC."""
        units = list(self.architecture.channels)
        chain = [filter_group(unit, (f"{following}.conv.weight", 1)) for unit, following in pairwise(units)]
        # Attention reads and scores each channel, so a channel's weights at both ends of both aggregators go with it.
        squeezes = [(f"{branch}.squeeze.weight", 1) for branch in ("short", "long")]
        expands = [(f"{branch}.expand.weight", 0, PARTS) for branch in ("short", "long")]
        return [*chain, filter_group(units[-1], *squeezes, *expands, ("fc.weight", 1))]


def build(settings: Mapping[str, Any], width: float, classes: int) -> GaitPart:
    """A network with fresh weights.

    The published size has 1,204,000 parameters for CASIA-B and 4,841,248 for OU-MVLP.

    Args:
        settings: ``channels`` of the stages of two convolutions, three or more (CASIA-B: 32, 64, 128; OU-MVLP: 32, 64, 128,
            256); ``halving``, each stage's number of strips as a power of 2 (0, 2, 3; 0, 0, 3, 3); ``embedding`` (128;
            256). The maps are halved after the first two stages.
        width: multiplier of channels and embedding.
        classes: not used, since there is no classifier.

    Raises:
        DataError: a setting is missing, unknown or out of range.
    """
    check_settings("gaitpart", settings, "channels halving embedding")
    stages, halving = settings["channels"], list(settings["halving"])
    if len(stages) < 3 or len(stages) != len(halving):
        raise DataError(f"gaitpart: architecture.channels = {stages}, halving = {halving}: must be of one length, 3 or more")
    for stage, power in enumerate(halving):
        rows = 64 >> min(stage, 2)
        if power < 0 or rows % 2**power:
            raise DataError(f"gaitpart: architecture.halving[{stage}] = {power}: 2**{power} must divide {rows} rows")
    twice = [scaled(channels, width) for channels in stages for _ in range(2)]
    channels = {f"convs.conv{number}": count for number, count in enumerate(twice, start=1)}
    worked_in = {"halving": halving, "hidden": twice[-1] // SQUEEZE, "embedding": scaled(settings["embedding"], width)}
    return GaitPart(TorchArchitecture("gaitpart", worked_in, channels))


from_architecture = GaitPart
