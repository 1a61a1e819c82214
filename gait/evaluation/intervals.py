"""95 % intervals of rates, honest for few people.

Probes of one person stand or fall together, so people, not probes, are what was drawn at random. The bootstrap over people
is too narrow for few of them, and a point where all have the same rate. Korn and Graubard's interval (Survey Methodology 24,
1998) is made for that: Clopper and Pearson's exact interval for as many independent probes as would vary as these do.
`python -m benchmarks.intervals` compares how often each covers the true rate.
"""

from __future__ import annotations

import numpy as np

TAIL = 0.025  # outside, at either end


def of_rate(rate: float, without: np.ndarray, probes: int) -> tuple[float, float] | None:
    """The interval of a rate.

    Args:
        rate: in %, of all people.
        without: [people] the rate without each person in turn (the jackknife).
        probes: how many were counted.

    Returns:
        Its ends in %, or None: of fewer than two people nothing is known of how people differ.
    """
    people = len(without)
    if people < 2 or np.isnan(rate):
        return None
    share = rate / 100
    variance = _variance(without) / 1e4
    independent = float(people)  # at least: as if each person had one probe
    # Where all have the same rate, nothing is known of how people differ.
    if variance > 1e-12:
        # Few people tell their variance badly, by as much as Student's quantiles differ.
        badly = _students(probes - 1) / _students(people - 1)
        independent = max(independent, min(share * (1 - share) / variance, probes) * badly**2)
    low, high = clopper_pearson(share * independent, independent)
    return 100 * low, 100 * high


def clopper_pearson(hits: float, probes: float) -> tuple[float, float]:
    """The exact interval of a share, of numbers that need not be whole."""
    from scipy import stats  # takes a second, which who only reads params.yaml must not wait for

    missed = probes - hits
    low = float(stats.beta.ppf(TAIL, hits, missed + 1)) if hits > 1e-9 else 0.0
    high = float(stats.beta.ppf(1 - TAIL, hits + 1, missed)) if missed > 1e-9 else 1.0
    return low, high


def student(value: float, without: np.ndarray) -> tuple[float, float]:
    """Student's interval of a figure by its values without each person in turn; infinite of fewer than two people."""
    if len(without) < 2:
        return -np.inf, np.inf
    half = _students(len(without) - 1) * _variance(without) ** 0.5
    return value - half, value + half


def _students(degrees: int) -> float:
    """Student's quantile."""
    from scipy import stats

    return float(stats.t.ppf(1 - TAIL, degrees))


def _variance(without: np.ndarray) -> float:
    """Of a figure, by the jackknife over people."""
    return float((len(without) - 1) * without.var())
