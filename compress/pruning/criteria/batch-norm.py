"""The |gamma| of the batch norm that follows the convolution (Liu et al., ICCV 2017, section 3).

Training may make it small for filters that are worth little, whatever the size of their weights.
"""

from __future__ import annotations

import numpy as np


def scores(scales: np.ndarray) -> np.ndarray:
    """[filters] of [filters]."""
    return np.abs(scales)
