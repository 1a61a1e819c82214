"""What the layers after a filter lose when it goes and the filters that stay take its place as well as they can.

The filter that costs least goes first, then the one that costs least once that is gone, and so on. The cost is the squared
error of what later layers compute from the outputs, after least squares has shared the weights that read the filter among
those that stay. ThiNet (Luo et al., ICCV 2017, section 3.2) chooses as greedily by the error without such a solution, and
solves afterwards. Unlike scores of single filters, this sees that two filters say the same.
"""

from __future__ import annotations

import numpy as np

RIDGE = 1e-4  # as a share of the mean square of an output: outputs of few samples are not taken as dependent by chance


def scores(outputs: np.ndarray, readers: np.ndarray) -> np.ndarray:
    """Scores [filters] from products of outputs and products of readers' weights, [filters, filters] both.

    A score is the filter's cost when it goes, as a share of what later layers compute from all filters, and no less than
    that of a filter that went before it.
    """
    filters = len(outputs)
    costs = np.zeros(filters)
    if not outputs.any():
        return costs
    products = outputs + RIDGE * np.trace(outputs) / filters * np.eye(filters)
    inverse = np.linalg.inv(products)
    # Row j: how much of filter j stands in for each filter; and the same times the readers' products.
    shares, read = np.eye(filters), readers.astype(np.float64)
    whole = max(float((readers * products).sum()), np.finfo(float).tiny)
    greatest, stays = 0.0, np.ones(filters, bool)
    for _ in range(filters):
        candidates = np.flatnonzero(stays)
        cost = (shares[candidates] * read[candidates]).sum(1) / inverse[candidates, candidates]
        goes = candidates[np.argmin(cost)]
        # The least step keeps the order where a later filter costs no more.
        greatest = max(float(cost.min()) / whole, greatest * (1 + 1e-9))
        costs[goes] = greatest
        stays[goes] = False
        column = inverse[:, goes] / inverse[goes, goes]
        shares -= np.outer(column, shares[goes])
        read -= np.outer(column, read[goes])
        inverse -= np.outer(column, inverse[goes])
        inverse[goes] = inverse[:, goes] = 0
    return costs
