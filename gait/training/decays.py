"""How the learning rate changes during a training, by the names of ``decay`` in params.yaml."""

from __future__ import annotations

import math
from collections.abc import Callable

# Of one-cycle: the share of the rate at the start, and the share of the training in which the rate rises.
FIRST_SHARE, WARM_UP = 1 / 25, 0.3


def _constant(done: float) -> float:
    return 1.0


def _cosine(done: float) -> float:
    """Half a cosine from the full rate to 0 (Loshchilov and Hutter, ICLR 2017, equation 5)."""
    return (1 + math.cos(math.pi * done)) / 2


def _one_cycle(done: float) -> float:
    """Up by half a cosine, then down to 0 by another (Smith and Topin, 2019; PyTorch's default shares)."""
    if done < WARM_UP:
        return 1 - (1 - FIRST_SHARE) * _cosine(done / WARM_UP)
    return _cosine((done - WARM_UP) / (1 - WARM_UP))


def _restarts(done: float) -> float:
    """Two cosines, the second twice as long as the first (warm restarts, Loshchilov and Hutter)."""
    return _cosine(3 * done if done < 1 / 3 else (3 * done - 1) / 2)


DECAYS: dict[str, Callable[[float], float]] = {
    "constant": _constant,
    "cosine": _cosine,
    "one-cycle": _one_cycle,
    "restarts": _restarts,
}


def share(decay: str, step: int, steps: int) -> float:
    """The share of the learning rate that a step of a training takes.

    Args:
        decay: a key of DECAYS.
        step: counted from 1.
        steps: the number of steps of the whole training.
    """
    return DECAYS[decay]((step - 1) / steps)
