"""The mean Euclidean distance of a filter to the layer's other filters (He et al., CVPR 2019, section 3.2).

Other filters can stand in for a filter near their geometric median.
"""

from __future__ import annotations

import numpy as np


def scores(weights: np.ndarray) -> np.ndarray:
    """Scores [filters] from weights [filters, weights]; 0 for a filter without others."""
    squares = np.square(weights).sum(1)
    # |a - b|² = |a|² + |b|² - 2ab, which rounding may make negative.
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * weights @ weights.T, 0))
    np.fill_diagonal(distances, 0)
    return distances.sum(1) / max(len(weights) - 1, 1)
