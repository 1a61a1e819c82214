"""The mean of a filter's |w|: :mod:`l1 <compress.pruning.criteria.l1>` a weight, which can be compared between layers."""

from __future__ import annotations

import numpy as np


def scores(weights: np.ndarray) -> np.ndarray:
    """[filters] of [filters, weights]."""
    return np.abs(weights).mean(1)
