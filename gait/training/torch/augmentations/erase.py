"""A rectangle set to 0 (Zhong et al., AAAI 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gait.losses import sent


@dataclass(frozen=True)
class Erasure:
    """A rectangle, in px."""

    top: int
    left: int
    rows: int
    columns: int

    def of(self, frames: np.ndarray) -> np.ndarray:
        erased = frames.copy()
        erased[:, self.top : self.top + self.rows, self.left : self.left + self.columns] = 0
        return erased

    @staticmethod
    def on_device(frames: Tensor, steps: Sequence[Erasure]) -> Tensor:
        height, width = frames.shape[2:]
        edges = [(step.top, step.top + step.rows, step.left, step.left + step.columns) for step in steps]
        top, bottom, left, right = sent(torch.tensor(edges), frames.device)[:, :, None].unbind(1)
        rows, columns = torch.arange(height, device=frames.device), torch.arange(width, device=frames.device)
        inside = ((rows >= top) & (rows < bottom))[:, :, None] & ((columns >= left) & (columns < right))[:, None]
        return frames.masked_fill(inside[:, None], 0)


def draw(
    size: tuple[int, int], rng: np.random.Generator, *, area: tuple[float, float] = (0.05, 0.2), aspect: float = 0.3
) -> Erasure:
    """A rectangle anywhere in the frames.

    Args:
        size: height and width of the frames.
        rng: the source of randomness.
        area: the least and the greatest share of the frame.
        aspect: the least ratio of the shorter side to the longer one.
    """
    height, width = size
    pixels = rng.uniform(*area) * height * width
    ratio = np.exp(rng.uniform(np.log(aspect), -np.log(aspect)))
    rows, columns = min(height, round(np.sqrt(pixels * ratio))), min(width, round(np.sqrt(pixels / ratio)))
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
    return Erasure(int(top), int(left), rows, columns)
