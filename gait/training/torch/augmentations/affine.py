"""A turn, another size, a slant and a shift, together."""

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
    """Turned, scaled, slanted and shifted.

    Args:
        size: height and width of the frames.
        rng: source of randomness.
        degrees: turned by up to this either way.
        scale: least and most factor of the size.
        shear: slanted by up to this many degrees either way.
        shift: moved by up to this share of the size along each axis.
    """
    height, width = size
    move = rng.uniform(-shift, shift, 2) * (width, height)
    return about_centre(size, rng.uniform(-degrees, degrees), rng.uniform(*scale), rng.uniform(-shear, shear), move)
