"""To which side people walk: a network that saw them walk to one side alone takes strangers on the other for its people."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

FEET = 1 / 16  # of the height, at the bottom: feet reach forward from the ankles
TRUNK = (0.15, 0.45)  # of the height: what the feet are compared with
SURE = 5.0  # standard errors of the mean over walks
FEWEST = 10  # walks


def side(walks: Iterable[np.ndarray]) -> str | None:
    """The side to which people walk in aligned silhouettes, "left" or "right"; None if it is not clear or is both.

    Args:
        walks: uint8 [frames, size, size] each.
    """
    ahead = np.array([_feet_ahead(walk) for walk in walks if len(walk)])
    if len(ahead) < FEWEST or abs(ahead.mean()) < SURE * ahead.std(ddof=1) / np.sqrt(len(ahead)):
        return None
    return "right" if ahead.mean() > 0 else "left"


def _feet_ahead(walk: np.ndarray) -> float:
    """By how many columns the feet's middle is to the right of the trunk's, on average over a walk."""
    energy = walk.mean(0, dtype=np.float64)
    rows, columns = len(energy), np.arange(energy.shape[1])
    feet = energy[-max(1, round(FEET * rows)) :].sum(0)
    trunk = energy[round(TRUNK[0] * rows) : round(TRUNK[1] * rows)].sum(0)
    return float((feet @ columns) / max(feet.sum(), 1.0) - (trunk @ columns) / max(trunk.sum(), 1.0))


def mirrored(window: np.ndarray) -> np.ndarray:
    """Aligned silhouettes, [n, size, size], with left and right exchanged; their middle stays column size // 2."""
    return np.ascontiguousarray(np.roll(window[:, :, ::-1], 1, 2))
