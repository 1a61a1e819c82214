"""The changes of :mod:`gait.training.torch.augmentation`, carried out by the device that trains, a batch at a time.

Pixels between others are interpolated here with the whole fraction and there with 1/32 px, so the grey levels of edges
differ a little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gait.losses import sent
from gait.training.torch.augmentation import Erasure, Mirroring, Step, Warp


def changed(frames: Tensor, steps: Sequence[Sequence[Step | None]]) -> Tensor:
    """Sequences after their changes.

    Args:
        frames: floats [n, frames, height, width]; changed in place.
        steps: for each change, in order, what it does to each of the n sequences.

    Returns:
        The same tensor.
    """
    for made in steps:
        for kind, carry_out in BY_KIND.items():
            of_kind = {row: step for row, step in enumerate(made) if isinstance(step, kind)}
            if of_kind:
                rows = sent(torch.tensor(list(of_kind)), frames.device)
                frames[rows] = carry_out(frames[rows], list(of_kind.values()))
    return frames


def _mirrored(frames: Tensor, steps: Sequence[Mirroring]) -> Tensor:
    return frames.flip(-1)


def _warped(frames: Tensor, steps: Sequence[Warp]) -> Tensor:
    height, width = frames.shape[2:]
    # From px to grid_sample's -1 .. 1, whose ends are the centres of the first and the last pixel.
    scale = np.diag([2 / (width - 1), 2 / (height - 1), 1])
    scale[:2, 2] = -1
    # Where a pixel comes from, not where it goes.
    back = [scale @ np.linalg.inv(np.vstack([step.matrix, [0, 0, 1]])) @ np.linalg.inv(scale) for step in steps]
    maps = sent(torch.from_numpy(np.stack(back)[:, :2]), frames.device).to(frames.dtype)
    grid = F.affine_grid(maps, list(frames.shape), align_corners=True)
    return F.grid_sample(frames, grid, align_corners=True)


def _erased(frames: Tensor, steps: Sequence[Erasure]) -> Tensor:
    height, width = frames.shape[2:]
    edges = [(step.top, step.top + step.rows, step.left, step.left + step.columns) for step in steps]
    top, bottom, left, right = sent(torch.tensor(edges), frames.device)[:, :, None].unbind(1)
    rows, columns = torch.arange(height, device=frames.device), torch.arange(width, device=frames.device)
    inside = ((rows >= top) & (rows < bottom))[:, :, None] & ((columns >= left) & (columns < right))[:, None]
    return frames.masked_fill(inside[:, None], 0)


BY_KIND: dict[type, Callable[[Tensor, Sequence[Any]], Tensor]] = {Mirroring: _mirrored, Warp: _warped, Erasure: _erased}
