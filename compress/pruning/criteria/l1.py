"""The sum of a filter's |w| (Li et al., ICLR 2017, section 3.1).

Sums grow with the number of weights, so those of layers with few input channels are small.
"""

from __future__ import annotations

import numpy as np


def scores(weights: np.ndarray) -> np.ndarray:
    """Scores [filters] from weights [filters, weights]."""
    return np.abs(weights).sum(1)
