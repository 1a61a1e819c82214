"""The mirror image: the person walks the other way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Mirroring:
    """Left becomes right."""

    def of(self, frames: np.ndarray) -> np.ndarray:
        return frames[:, :, ::-1]

    @staticmethod
    def on_device(frames: Tensor, steps: Sequence[Mirroring]) -> Tensor:
        return frames.flip(-1)


def draw(size: tuple[int, int], rng: np.random.Generator) -> Mirroring:
    """A mirroring; only whether it happens is random."""
    return Mirroring()
