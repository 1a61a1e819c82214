"""The changes of :mod:`gait.training.torch.augmentations`, carried out by the device that trains, a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gait.losses import sent
from gait.training.torch.augmentations import Step


def changed(frames: Tensor, steps: Sequence[Sequence[Step | None]]) -> Tensor:
    """Change sequences.

    Args:
        frames: floats [n, frames, height, width], changed in place.
        steps: for each change, in order, its steps for the n sequences; None leaves a sequence as it is.

    Returns:
        The same tensor.
    """
    for steps_of_change in steps:
        by_row = {row: step for row, step in enumerate(steps_of_change) if step is not None}
        if by_row:
            rows = sent(torch.tensor(list(by_row)), frames.device)
            drawn = list(by_row.values())  # of one class, since one change has drawn them
            frames[rows] = drawn[0].on_device(frames[rows], drawn)
    return frames
