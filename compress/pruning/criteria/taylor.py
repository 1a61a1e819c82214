"""The mean over samples of a filter's |effect| on the training loss (Molchanov et al., ICLR 2017, section 2.2, equation 8).

An effect is the sum of activation x gradient over the positions of the filter's output. The paper takes their mean, which
differs by a constant factor in each layer, and divides each layer's scores by their L2 norm. Both differences matter only
between layers, and :func:`compress.pruning.select.importances` makes layers comparable for all criteria.
"""

from __future__ import annotations

import numpy as np


def scores(effects: np.ndarray) -> np.ndarray:
    """Scores [filters] from effects [samples, filters]."""
    return np.abs(effects).mean(0)
