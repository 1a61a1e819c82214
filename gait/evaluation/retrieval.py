"""Measures of retrieval, from the positions of a probe's right sequences among all that are enrolled.

With the right ones at positions p1 < p2 < ... < pn:

* rank-r: whether p1 is at most r; its mean over probes, for all r, is the cumulative match characteristic (CMC);
* average precision: the mean over i of i / pi; its mean over probes is mAP (Zheng et al., ICCV 2015);
* inverse negative penalty: n / pn; its mean over probes is mINP (Ye et al., TPAMI 2022).

A probe whose person is not enrolled misses at every rank and has no precision and no penalty, so mAP and mINP leave it out.
"""

from __future__ import annotations

import numpy as np

from gait.evaluation.hits import Hits

RANKS = (1, 5, 10, 20)
CURVE = 50  # the last rank of a CMC
MEASURES = (*(f"rank{rank}" for rank in RANKS), "mAP", "mINP")


def measures(positions: np.ndarray) -> dict[str, np.ndarray]:
    """All measures of each probe.

    Args:
        positions: whole numbers [probes, groups, right ones], as :func:`gait.evaluation.positions.positions` has them: in
            ascending order, and 0 in place of those that a probe has fewer than others.

    Returns:
        By name, [probes, groups]: "rank1" to "rank50", 1.0 for a hit and 0.0 for a miss; "mAP" and "mINP", from 0 to 1, and
        NaN without a right sequence.
    """
    there = positions > 0
    count = there.sum(-1)
    first = np.where(count > 0, positions[..., 0] if positions.shape[-1] else 0, np.inf)
    number = np.arange(1, positions.shape[-1] + 1)
    with np.errstate(invalid="ignore"):
        precision = np.divide(number, positions, out=np.zeros(positions.shape), where=there).sum(-1) / count
        penalty = count / positions.max(-1, initial=0)
    ranks = {f"rank{rank}": (first <= rank).astype(np.float64) for rank in range(1, CURVE + 1)}
    return {**ranks, "mAP": precision, "mINP": penalty}


def positions_of(distances: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Positions as :func:`gait.evaluation.positions.positions` has them, [probes, 1, right ones], from all distances.

    Args:
        distances: [probes, gallery]; of equal ones, that which comes first in the gallery is nearer.
        right: bool [probes, gallery], whose sequences are the probe's person's.
    """
    order = np.argsort(distances, 1, kind="stable")
    ranked = np.take_along_axis(right, order, 1)
    result = np.zeros((len(right), 1, int(right.sum(1).max(initial=0))), np.int32)
    for row, answers in enumerate(ranked):
        places = np.flatnonzero(answers) + 1
        result[row, 0, : len(places)] = places
    return result


def cmc(hits: Hits) -> list[float]:
    """The mean rates in %, as those of :meth:`Hits.rates`, of ranks 1 to 50."""
    return [hits.by_person(f"rank{rank}").mean for rank in range(1, CURVE + 1)]
