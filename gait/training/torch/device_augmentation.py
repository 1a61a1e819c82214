"""The changes of :mod:`gait.training.torch.augmentations`, carried out by the device that trains, a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gait.losses import sent
from gait.training.torch.augmentations import Step


def changed(frames: Tensor, steps: Sequence[Sequence[Step | None]]) -> Tensor:
    """Sequences after their changes.

    Args:
        frames: floats [n, frames, height, width]; changed in place.
        steps: for each change, in order, what it does to each of the n sequences.

    Returns:
        The same tensor.
    """
    for made in steps:
        happening = {row: step for row, step in enumerate(made) if step is not None}
        if happening:
            rows = sent(torch.tensor(list(happening)), frames.device)
            drawn = list(happening.values())  # of one class, since one change has drawn them
            frames[rows] = drawn[0].on_device(frames[rows], drawn)
    return frames
