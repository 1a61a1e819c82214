"""95 % intervals of rates, valid for few people.

Probes of one person depend on each other, so people, not probes, are the random sample. The bootstrap over people is too
narrow for few people, and a point where all have the same rate. Korn and Graubard's interval (Survey Methodology 24, 1998)
is made for such samples: Clopper and Pearson's exact interval for as many independent probes as would vary as these do.
`python -m benchmarks.intervals` compares how often each interval covers the true rate.
"""

from __future__ import annotations

import numpy as np

TAIL = 0.025  # the share outside at either end


def of_rate(rate: float, without: np.ndarray, probes: int) -> tuple[float, float] | None:
    """The interval of a rate.

    Args:
        rate: in %, of all people.
        without: [people] the rate without each person in turn (the jackknife).
        probes: the number of counted probes.

    Returns:
        Its ends in %; None for fewer than two people, who do not show how people differ.
    """
    people = len(without)
    if people < 2 or np.isnan(rate):
        return None
    share = rate / 100
    variance = _variance(without) / 1e4
    independent = float(people)  # the least: one probe a person, as where all have the same rate
    if variance > 1e-12:
        # Few people give a poor estimate of the variance: the ratio of Student's quantiles corrects for that.
        correction = _students(probes - 1) / _students(people - 1)
        independent = max(independent, min(share * (1 - share) / variance, probes) * correction**2)
    low, high = clopper_pearson(share * independent, independent)
    return 100 * low, 100 * high


def clopper_pearson(hits: float, probes: float) -> tuple[float, float]:
    """The exact interval of a share; neither number needs to be whole."""
    from scipy.special import betaincinv  # here: commands that only read params.yaml must not wait for it

    missed = probes - hits
    low = float(betaincinv(hits, missed + 1, TAIL)) if hits > 1e-9 else 0.0
    high = float(betaincinv(hits + 1, missed, 1 - TAIL)) if missed > 1e-9 else 1.0
    return low, high


def student(value: float, without: np.ndarray) -> tuple[float, float]:
    """Student's interval of a figure by its values without each person in turn; infinite for fewer than two people."""
    if len(without) < 2:
        return -np.inf, np.inf
    half = _students(len(without) - 1) * _variance(without) ** 0.5
    return value - half, value + half


def _students(degrees: int) -> float:
    """Student's quantile for these degrees of freedom."""
    from scipy.special import stdtrit  # scipy.stats has it too, but takes a second to import

    return float(stdtrit(degrees, 1 - TAIL))


def _variance(without: np.ndarray) -> float:
    """The variance of a figure, by the jackknife over people."""
    return float((len(without) - 1) * without.var())
