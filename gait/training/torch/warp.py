"""Affine maps of silhouettes, which several augmentations draw.

Between pixels, the device interpolates with exact fractions and the processor with multiples of 1/32 px, so the grey levels
of edges differ a little.
"""

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
class Warp:
    """An affine map; pixels from outside are 0.

    Attributes:
        matrix: float64 [2, 3], from (x, y, 1) before to (x, y) after, in px.
    """

    matrix: np.ndarray

    def of(self, frames: np.ndarray) -> np.ndarray:
        """uint8 [n, height, width], in and out."""
        size = frames.shape[2], frames.shape[1]
        return np.stack([cv2.warpAffine(frame, self.matrix, size) for frame in frames])

    @staticmethod
    def on_device(frames: Tensor, steps: Sequence[Warp]) -> Tensor:
        """Floats [n, frames, height, width], in and out; ``steps`` has one for each of the n."""
        height, width = frames.shape[2:]
        # From px to grid_sample's -1 .. 1, whose ends are the centres of the first and the last pixel.
        scale = np.diag([2 / (width - 1), 2 / (height - 1), 1])
        scale[:2, 2] = -1
        # grid_sample needs the map back: where a pixel comes from.
        back = [scale @ np.linalg.inv(np.vstack([step.matrix, [0, 0, 1]])) @ np.linalg.inv(scale) for step in steps]
        maps = sent(torch.from_numpy(np.stack(back)[:, :2]), frames.device).to(frames.dtype)
        grid = F.affine_grid(maps, list(frames.shape), align_corners=True)
        return F.grid_sample(frames, grid, align_corners=True)


def about_centre(
    size: tuple[int, int], degrees: float, scale: float = 1.0, shear: float = 0.0, move: np.ndarray | float = 0.0
) -> Warp:
    """An affine map about the centre of frames of (height, width).

    Args:
        size: height and width.
        degrees: the turn.
        scale: the factor of the size.
        shear: the slant, in degrees.
        move: the shift along x and y, in px.
    """
    height, width = size
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = scale * turn @ np.array([[1, np.tan(np.deg2rad(shear))], [0, 1]])
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    return Warp(np.column_stack([linear, centre + move - linear @ centre]))
