"""The mean over samples of a filter's |effect| on the training loss (Molchanov et al., ICLR 2017, section 2.2, equation 8).

An effect is the sum of activation x gradient over the positions of the filter's output. The paper has their mean, which is
the same up to a factor for each layer, and divides each layer's scores by their L2 norm. Both matter only between layers,
which :func:`compress.pruning.select.importances` makes comparable for all criteria.
"""

from __future__ import annotations

import numpy as np


def scores(effects: np.ndarray) -> np.ndarray:
    """[filters] of [samples, filters]."""
    return np.abs(effects).mean(0)
