"""A turn, a scale, a slant and a shift, together."""

from __future__ import annotations

import numpy as np

from gait.training.torch.warp import Warp, about_centre


def draw(
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    degrees: float = 5.0,
    scale: tuple[float, float] = (0.9, 1.1),
    shear: float = 5.0,
    shift: float = 0.05,
) -> Warp:
    """A warp that turns, scales, slants and shifts.

    Args:
        size: height and width of the frames.
        rng: the source of randomness.
        degrees: the greatest turn either way.
        scale: the least and the greatest factor of the size.
        shear: the greatest slant either way, in degrees.
        shift: the greatest shift along each axis, as a share of the size.
    """
    height, width = size
    move = rng.uniform(-shift, shift, 2) * (width, height)
    return about_centre(size, rng.uniform(-degrees, degrees), rng.uniform(*scale), rng.uniform(-shear, shear), move)
