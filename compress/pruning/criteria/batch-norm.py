"""The |gamma| of the batch norm that follows the convolution (Liu et al., ICCV 2017, section 3).

Training may make gamma small for filters of little worth, whatever the size of their weights.
"""

from __future__ import annotations

import numpy as np


def scores(scales: np.ndarray) -> np.ndarray:
    """Scores [filters] from scales [filters]."""
    return np.abs(scales)
