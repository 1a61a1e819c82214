"""The root of the sum of a filter's w² (He et al., IJCAI 2018, section 3.2); it grows with the number of weights."""

from __future__ import annotations

import numpy as np


def scores(weights: np.ndarray) -> np.ndarray:
    """Scores [filters] from weights [filters, weights]."""
    return np.sqrt(np.square(weights).sum(1))
