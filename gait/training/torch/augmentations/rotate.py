"""A turn about the centre."""

from __future__ import annotations

import numpy as np

from gait.training.torch.warp import Warp, about_centre


def draw(size: tuple[int, int], rng: np.random.Generator, *, degrees: float = 10.0) -> Warp:
    """A warp that turns by up to ``degrees`` either way."""
    return about_centre(size, rng.uniform(-degrees, degrees))
