"""Another perspective: the upper and the lower edge of the frames get other widths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gait.losses import sent


@dataclass(frozen=True)
class Perspective:
    """A projective map; pixels from outside are 0.

    Attributes:
        matrix: float64 [3, 3], from (x, y, 1) before to (x, y, 1) after, in px, up to a factor.
    """

    matrix: np.ndarray

    def of(self, frames: np.ndarray) -> np.ndarray:
        """uint8 [n, height, width], in and out."""
        size = frames.shape[2], frames.shape[1]
        return np.stack([cv2.warpPerspective(frame, self.matrix, size) for frame in frames])

    @staticmethod
    def on_device(frames: Tensor, steps: Sequence[Perspective]) -> Tensor:
        """Floats [n, frames, height, width], in and out; ``steps`` has one for each of the n."""
        height, width = frames.shape[2:]
        back = sent(torch.from_numpy(np.stack([np.linalg.inv(step.matrix) for step in steps])), frames.device)
        y, x = torch.meshgrid(
            torch.arange(height, dtype=torch.float64, device=frames.device),
            torch.arange(width, dtype=torch.float64, device=frames.device),
            indexing="ij",
        )
        came_from = torch.stack([x, y, torch.ones_like(x)], -1) @ back[:, None].transpose(2, 3)  # [n, height, width, 3]
        # To grid_sample's -1 .. 1, whose ends are the centres of the first and the last pixel.
        ends = torch.tensor([width - 1, height - 1], dtype=torch.float64, device=frames.device)
        grid = 2 * came_from[..., :2] / came_from[..., 2:] / ends - 1
        return F.grid_sample(frames, grid.to(frames.dtype), align_corners=True)


def draw(size: tuple[int, int], rng: np.random.Generator, *, inwards: float = 10 / 64) -> Perspective:
    """A map that stretches what lies between four moved corners to the whole frame.

    Args:
        size: height and width of the frames.
        rng: the source of randomness.
        inwards: how far a corner moves inwards at most, as a share of the width.
    """
    height, width = size
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float32)
    moved = corners.copy()
    moved[:, 0] += (rng.uniform(0, inwards * width, 4) * [1, -1, 1, -1]).astype(np.float32)
    return Perspective(cv2.getPerspectiveTransform(moved, corners))
