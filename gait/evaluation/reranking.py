"""Re-ranking by k-reciprocal neighbours (Zhong et al., CVPR 2017).

Two sequences are k-reciprocal neighbours if each is among the k nearest of the other. Sequences of one person have many such
neighbours in common, so the distance of two becomes, for the greater part, the Jaccard distance of their neighbours. Probes
and gallery are each other's neighbours: the answer for a probe depends on which other probes there are.

As in the authors' program, the distances of each sequence are divided by its greatest; those of the mean over parts are
taken as they are, not squared. k1 = 6, k2 = 6 and lambda = 0.3 are OpenGait's for gait.
"""

from __future__ import annotations

import numpy as np

from gait.data.prepared.sets import Distance
from gait.errors import DataError
from gait.evaluation.blas import one_thread
from gait.evaluation.distances import Scaled, between

K1, K2, LAMBDA = 6, 6, 0.3
LARGEST = 20_000  # sequences: the distances of all pairs of these take 1.6 GB
ROWS = 256


@one_thread()
def reranked(values: np.ndarray, probe: np.ndarray, gallery: np.ndarray, kind: Distance = "euclidean") -> np.ndarray:
    """The distances of probes to the gallery after re-ranking.

    Args:
        values: float32 [samples, parts, channels], signatures as the network gave them.
        probe, gallery: rows of the samples.
        kind: the mean over parts of the Euclidean distance, or 1 minus the mean of the cosines.

    Returns:
        float32 [probes, gallery], from 0 to 1.

    Raises:
        DataError: a signature is not finite, or there are too many sequences to compare all with each other.
    """
    rows = np.concatenate([probe, gallery])
    if len(rows) > LARGEST:
        raise DataError(f"re-ranking compares all sequences with each other, and {len(rows)} are more than {LARGEST}")
    return of_distances(_pairs(Scaled.of(values, kind), rows, kind), len(probe))


def _pairs(scaled: Scaled, rows: np.ndarray, kind: Distance) -> np.ndarray:
    """Distances of all pairs, [rows, rows]; a row has distance 0 to itself."""
    far = np.empty((len(rows), len(rows)), np.float32)
    everyone = scaled.taken(rows)
    for start in range(0, len(rows), ROWS):
        part = slice(start, start + ROWS)
        far[part] = between(everyone, slice(None), scaled.taken(rows[part]), kind)[0]
    far = np.minimum(far, far.T)  # which differ by rounding alone
    np.fill_diagonal(far, 0)
    return far


def of_distances(far: np.ndarray, probes: int, k1: int = K1, k2: int = K2, share: float = LAMBDA) -> np.ndarray:
    """Re-ranked distances.

    Args:
        far: [n, n] distances of all pairs, the probes first; it is used up.
        probes: the number of probes.
        k1: the number of neighbours that count.
        k2: the number of neighbours over which a sequence's weights are averaged; 1: none but itself.
        share: the share of the former distance in the new one.

    Returns:
        float32 [probes, n - probes].
    """
    from scipy.sparse import csr_array

    count = len(far)
    greatest = far.max(1, keepdims=True)
    far /= np.where(greatest > 0, greatest, 1)
    nearest = np.argsort(far, 1, kind="stable")[:, : k1 + 1]
    mutual = [_mutual(nearest, row, k1 + 1) for row in range(count)]
    halves = [_mutual(nearest, row, round(k1 / 2) + 1) for row in range(count)]
    columns, weights = [], []
    for row in range(count):
        near = mutual[row]
        alike = [halves[other] for other in near if 3 * np.isin(halves[other], near).sum() > 2 * len(halves[other])]
        chosen = np.unique(np.concatenate([near, *alike]))
        weight = np.exp(-far[row, chosen])
        columns.append(chosen)
        weights.append(weight / weight.sum())
    ends = np.cumsum([0, *map(len, columns)])
    vectors = csr_array((np.concatenate(weights), np.concatenate(columns), ends), shape=(count, count))
    if k2 > 1:
        around = np.argsort(far, 1, kind="stable")[:, :k2] if k2 > k1 + 1 else nearest[:, :k2]
        ends = np.arange(0, around.size + 1, around.shape[1])
        shares = np.full(around.size, 1 / around.shape[1], far.dtype)
        averaging = csr_array((shares, around.ravel(), ends), shape=(count, count))
        vectors = averaging @ vectors
    by_column = vectors.tocsc()
    result = np.empty((probes, count - probes), np.float32)
    for row in range(probes):
        common = np.zeros(count)
        for place in range(vectors.indptr[row], vectors.indptr[row + 1]):
            column = slice(*by_column.indptr[vectors.indices[place] : vectors.indices[place] + 2])
            common[by_column.indices[column]] += np.minimum(vectors.data[place], by_column.data[column])
        # All weights of a sequence are 1 together, so two have 2 - common in their union.
        jaccard = 1 - common / (2 - common)
        result[row] = (1 - share) * jaccard[probes:] + share * far[row, probes:]
    return result


def _mutual(nearest: np.ndarray, row: int, count: int) -> np.ndarray:
    """Which of the ``count`` nearest of a sequence, itself among them, have it among theirs."""
    near = nearest[row, :count]
    return near[(nearest[near, :count] == row).any(1)]
