"""The mean of a filter's |w|: :mod:`l1 <compress.pruning.criteria.l1>` per weight, so that layers compare."""

from __future__ import annotations

import numpy as np


def scores(weights: np.ndarray) -> np.ndarray:
    """Scores [filters] from weights [filters, weights]."""
    return np.abs(weights).mean(1)
