"""The latency staircase: which percentiles are faster than lower ones, and which buy nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from remote.benchmark import BOOTSTRAPS

NOISE_MARGIN = 0.03  # a median that is lower by less than this share counts as no gain, however sure it is


@dataclass(frozen=True)
class Point:
    """The time of a percentile: median and 95 % interval, in ms."""

    percentile: int | float
    p50: float
    low: float
    high: float


def treads(points: Iterable[Point], margin: float = NOISE_MARGIN) -> dict[int | float, int | float]:
    """For each percentile the first percentile of its tread.

    From left to right, a percentile begins a tread if its median is lower than that of the tread before by more than the
    noise margin, and each of the two medians is outside the other's interval. All others buy nothing: pruning beyond the
    first percentile of a tread costs accuracy and saves no time. The comparison is with that first percentile, not with the
    neighbour, so that many small gains add up to a new tread.

    Args:
        points: in any order, each percentile once.
        margin: share of a median.

    Returns:
        Ascending percentiles, each with the percentile that begins its tread: itself, if it is worth its accuracy.
    """
    first: Point | None = None
    firsts = {}
    for point in sorted(points, key=lambda point: point.percentile):
        if first is None or (point.p50 < min(first.low, first.p50 * (1 - margin)) and point.high < first.p50):
            first = point
        firsts[point.percentile] = first.percentile
    return firsts


def over_turns(turns: Sequence[Mapping[str, float]], seed: int = 0) -> tuple[float, float, float]:
    """The median of several turns' medians with its 95 % interval.

    It is the bootstrap of :func:`remote.benchmark.median_interval`, with turns as repeats and from the figures that a turn
    keeps: it draws turns with replacement, and the median of each from the normal distribution of its interval. So a time
    that moves from turn to turn has a wide interval, however steady it is within each turn.

    Args:
        turns: each with ``p50``, ``p50_low`` and ``p50_high`` (95 %).
        seed: seed of the draws.

    Returns:
        Median, low and high.
    """
    medians = np.array([turn["p50"] for turn in turns])
    deviations = np.array([(turn["p50_high"] - turn["p50_low"]) / (2 * 1.96) for turn in turns])
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(turns), (BOOTSTRAPS, len(turns)))
    p50 = float(np.median(medians))
    low, high = np.percentile(np.median(rng.normal(medians[drawn], deviations[drawn]), axis=1), [2.5, 97.5])
    return p50, min(float(low), p50), max(float(high), p50)


def pooled_cov(turns: Sequence[Mapping[str, float]]) -> float:
    """The coefficient of variation of the queries of all turns together, as a benchmark record has it.

    Args:
        turns: each with its ``mean``, ``cov`` and number of ``queries``.
    """
    means, weights = np.array([turn["mean"] for turn in turns]), np.array([turn["queries"] for turn in turns])
    within = means * np.array([turn["cov"] for turn in turns])
    mean = np.average(means, weights=weights)
    return float(np.sqrt(np.average(within**2 + (means - mean) ** 2, weights=weights)) / mean)
