"""How important a filter is: by its weights, or by chance, the control that a criterion must beat."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import numpy as np

from compress.errors import CompressionError


def filter_scores(kernels: np.ndarray, criterion: str) -> np.ndarray:
    """Importance of each filter by its weights; the bias does not count.

    Args:
        kernels: of a convolution, [filters, ...].
        criterion: "l1", the sum of a filter's |w| (Li et al., ICLR 2017, section 3.1), "l2", the root of the sum of its w²
            (He et al., IJCAI 2018, section 3.2), "mean-l1", the mean of its |w|, or "fpgm", the mean of its Euclidean
            distances to the layer's other filters: near the geometric median is what others can stand in for (He et al.,
            CVPR 2019, section 3.2). Sums grow with the number of weights, so those of layers with few input channels are
            small; only means of |w| can be compared between layers.

    Returns:
        [filters], float64.

    Raises:
        CompressionError: there is no such criterion.
    """
    weights = kernels.reshape(len(kernels), -1).astype(np.float64)
    if criterion == "fpgm":
        return _mean_distances(weights)
    flat = np.abs(weights)
    if criterion == "l1":
        return flat.sum(1)
    if criterion == "l2":
        return np.sqrt(np.square(flat).sum(1))
    if criterion == "mean-l1":
        return flat.mean(1)
    raise CompressionError(f"unknown criterion {criterion}; there are l1, l2, mean-l1, fpgm and random")


def _mean_distances(points: np.ndarray) -> np.ndarray:
    """The mean Euclidean distance of each point to the others, [points]; 0 where there are no others."""
    squares = np.square(points).sum(1)
    # |a - b|² = |a|² + |b|² - 2ab, which rounding may make negative.
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0))
    np.fill_diagonal(distances, 0)
    return distances.sum(1) / max(len(points) - 1, 1)


def random_scores(layer: str, filters: int, seed: int) -> np.ndarray:
    """Importance by chance: [filters], uniform in 0..1, from nothing but the names, and so the same on every machine."""
    digests = (blake2b(f"{seed}/{layer}/{number}".encode(), digest_size=8).digest() for number in range(filters))
    return np.array([int.from_bytes(digest, "big") / 2**64 for digest in digests])


def layer_scores(layer: str, kernels: Mapping[str, np.ndarray], criterion: str, seed: int) -> np.ndarray:
    """Importance of the filters that units lose together: the mean of what they are worth in each.

    Args:
        layer: its name.
        kernels: of each unit, [filters, ...], by the unit's name.
        criterion: as for :func:`filter_scores`, or "random". Chance is drawn once and not for each unit: a mean of several
            draws would spare tied filters under a low percentile and hit them under a high one.
        seed: of chance.

    Returns:
        [filters], float64.
    """
    if criterion == "random":
        return random_scores(layer, len(next(iter(kernels.values()))), seed)
    return np.mean([filter_scores(kernel, criterion) for kernel in kernels.values()], axis=0)
