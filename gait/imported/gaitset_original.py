"""Encoder checkpoints of the original GaitSet (AbnerHqC/GaitSet), for CASIA-B and, in another form, for OU-MVLP."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate

import torch
from torch import Tensor

from gait.errors import DataError
from gait.imported.links import Link, Reading, same
from gait.networks.torch_model import TorchModel

NAME = "the original GaitSet"
BINS = (1, 2, 4, 8, 16)  # its numbers of strips, in its order
FRAME = {f"frame{number}": f"set_layer{number}.forward_block" for number in range(1, 7)}
GLOBAL = {f"global{number}": f"gl_layer{number}" for number in range(1, 5)}
# All parts' matrices are one tensor in the form for CASIA-B; in that for OU-MVLP each branch has one, x being the frames'.
TOGETHER = ("fc_bin.0",)
APART = ("x_hpm.fc_bin.0", "gl_hpm.fc_bin.0")


def model_of(names: Collection[str]) -> str | None:
    """Our name of the model that has tensors of these names; None if it does not seem to be GaitSet."""
    return "gaitset" if any(name.startswith("set_layer1.") for name in names) else None


def reading(model: TorchModel, tensors: Mapping[str, Tensor], bnneck: str) -> Reading:
    """The links of a file for a GaitSet of this pipeline.

    Raises:
        DataError: its bins are not the original's.
    """
    bins = model.architecture.settings["bins"]
    if sorted(bins) != list(BINS):
        raise DataError(f"gaitset: architecture.bins = {bins}: {NAME} has {list(BINS)}, in any order")
    apart = APART[0] in tensors
    links = same(FRAME | GLOBAL, "conv.weight", "conv.weight")
    fc = Link("fc.weight", APART if apart else TOGETHER, _order(bins, apart))
    return Reading([*links, fc], [f"read as {NAME}'s form for {'OU-MVLP' if apart else 'CASIA-B'}"])


def _order(bins: Sequence[int], apart: bool) -> Tensor:
    """Where our parts stand in the file: first the frame branch's, then the global branch's, each as ``bins`` orders them.

    Args:
        bins: our numbers of strips.
        apart: whether the file too has all strips of one branch before those of the other; else both branches follow one
            another at each number of strips.
    """
    before = dict(zip(BINS, accumulate(BINS, initial=0), strict=False))  # strips of one branch before those of a bin
    places = [
        branch * sum(BINS) + before[strips] + strip if apart else 2 * before[strips] + branch * strips + strip
        for branch in (0, 1)
        for strips in bins
        for strip in range(strips)
    ]
    return torch.tensor(places)
