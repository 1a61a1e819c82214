"""How often 95 % intervals of a rate, and of a difference of two rates, hold the true one, and how wide they are.

People are simulated whose own rates differ: Beta-distributed about the true one, with a correlation of 0 to 0.5 between two
probes of one person. For each way of making an interval `coverage` is the mean over all cases, `worst` that of the worst
case, in %, and `width` the mean width in points. A mean near 95 with a poor worst is not honest; a width far above the
others' is a waste.

Under `paired`, the same of two engines that the same people test: of each person's probes the second engine loses a share
and gains another, Beta-distributed over people too. The true loss is 0 to 10 points, and 0.5 to 5 % of the probes change
beside it.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from gait import paired
from gait.evaluation import intervals
from gait.people import ByPerson

PEOPLE, PROBES = (2, 4, 8, 14, 50), (2, 12, 40)
RATES, CORRELATIONS = (0.5, 0.8, 0.95, 0.99), (0.0, 0.1, 0.3, 0.5)
BOOTSTRAPS = 400
# Of two engines: people, probes of each, the true loss, and the share of probes that change without it.
PAIRED_PEOPLE, PAIRED_PROBES = (14, 24, 50), (12, 60)
LOSSES, CHANGES = (0.0, 0.01, 0.03, 0.1), (0.005, 0.02, 0.05)
PAIRED_CORRELATIONS = (0.0, 0.1, 0.3)

Interval = Callable[[np.ndarray, int], tuple[float, float]]
PairedInterval = Callable[[np.ndarray, np.ndarray, int], tuple[float, float]]


def ours(own: np.ndarray, probes: int) -> tuple[float, float]:
    """What the project reports, of people's own rates in %."""
    without = (own.sum() - own) / (len(own) - 1)
    interval = intervals.of_rate(float(own.mean()), without, probes * len(own))
    assert interval is not None  # there are two people or more
    return interval


def bootstrap(own: np.ndarray, probes: int) -> tuple[float, float]:
    """Percentiles of the mean of people drawn with replacement."""
    drawn = np.random.default_rng(0).integers(len(own), size=(BOOTSTRAPS, len(own)))
    low, high = np.percentile(own[drawn].mean(1), [2.5, 97.5])
    return float(low), float(high)


def student(own: np.ndarray, probes: int) -> tuple[float, float]:
    """Student's, of people's own rates."""
    low, high = intervals.student(float(own.mean()), (own.sum() - own) / (len(own) - 1))
    return max(0.0, low), min(100.0, high)


def exact_by(count: Callable[[int, int], int]) -> Interval:
    """Clopper and Pearson's, of so many independent probes."""

    def interval(own: np.ndarray, probes: int) -> tuple[float, float]:
        independent = count(len(own), probes)
        low, high = intervals.clopper_pearson(float(own.mean()) / 100 * independent, independent)
        return 100 * low, 100 * high

    return interval


WAYS: dict[str, Interval] = {
    "korn-graubard (ours)": ours,
    "bootstrap over people": bootstrap,
    "student over people": student,
    "exact, each probe one": exact_by(lambda people, probes: people * probes),
    "exact, each person one": exact_by(lambda people, probes: people),
}


def rates_of_people(rate: float, correlation: float, people: int, probes: int, rng: np.random.Generator) -> np.ndarray:
    """Rates of people, in %, who have so many probes each."""
    own = np.full(people, rate)
    if correlation:
        total = 1 / correlation - 1
        own = rng.beta(rate * total, (1 - rate) * total, people)
    return 100 * rng.binomial(probes, own) / probes


def ours_paired(first: np.ndarray, second: np.ndarray, probes: int) -> tuple[float, float]:
    """What the project reports of two engines' hits of the same people."""
    names, counted = [str(person) for person in range(len(first))], np.full((len(first), 1, 1, 1), probes)
    both = (ByPerson.of(names, hits.reshape(counted.shape), counted) for hits in (first, second))
    interval = paired.difference(*both)
    assert interval is not None  # there are two people or more
    return interval.low, interval.high


def percentiles(first: np.ndarray, second: np.ndarray, probes: int) -> tuple[float, float]:
    """Percentiles of the mean difference of people drawn with replacement."""
    return bootstrap(100 * (first - second) / probes, probes)


def accelerated(first: np.ndarray, second: np.ndarray, probes: int) -> tuple[float, float]:
    """Efron's bias-corrected and accelerated percentiles of the same."""
    from scipy import stats

    own = 100 * (first - second) / probes
    off = own - own.mean()
    if not off.any():
        return float(own.mean()), float(own.mean())
    drawn = np.random.default_rng(0).integers(len(own), size=(BOOTSTRAPS, len(own)))
    means = own[drawn].mean(1)
    below = np.mean(means < own.mean()) + np.mean(means == own.mean()) / 2
    bias = stats.norm.ppf(np.clip(below, 1 / BOOTSTRAPS, 1 - 1 / BOOTSTRAPS))
    acceleration = (off**3).sum() / (6 * (off**2).sum() ** 1.5)
    ends = bias + stats.norm.ppf([intervals.TAIL, 1 - intervals.TAIL])
    low, high = np.quantile(means, stats.norm.cdf(bias + ends / (1 - acceleration * ends)))
    return float(low), float(high)


def student_paired(first: np.ndarray, second: np.ndarray, probes: int) -> tuple[float, float]:
    """Student's, of people's own differences."""
    own = 100 * (first - second) / probes
    return intervals.student(float(own.mean()), (own.sum() - own) / (len(own) - 1))


def separate(first: np.ndarray, second: np.ndarray, probes: int) -> tuple[float, float]:
    """From the ends of the two rates' own intervals, as if the two were not of the same people."""
    (low, high), (other_low, other_high) = (ours(100 * hits / probes, probes) for hits in (first, second))
    return low - other_high, high - other_low


PAIRED_WAYS: dict[str, PairedInterval] = {
    "paired bootstrap (ours)": ours_paired,
    "percentiles": percentiles,
    "BCa": accelerated,
    "student": student_paired,
    "two intervals": separate,
}


def hits_of_two(
    loss: float, change: float, correlation: float, people: int, probes: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Hits of people with two engines; the second loses the share ``loss`` more of the probes than it gains."""
    lost, gained = (rates_of_people(share, correlation, people, probes, rng) for share in (loss + change / 2, change / 2))
    lost, gained = (np.rint(changed / 100 * probes).astype(int) for changed in (lost, gained))
    kept = rng.binomial(np.maximum(0, probes - lost - gained), 0.8)  # by both engines
    return kept + lost, kept + gained


def measure_paired(repeats: int) -> dict[str, Any]:
    """Coverage and width of every way to estimate a difference, and the cases in which ours covers least."""
    cases = list(itertools.product(PAIRED_PEOPLE, PAIRED_PROBES, LOSSES, CHANGES, PAIRED_CORRELATIONS))
    held, width = (np.zeros((len(PAIRED_WAYS), len(cases))) for _ in range(2))
    for place, (people, probes, loss, change, correlation) in enumerate(cases):
        rng = np.random.default_rng(place)
        for _ in range(repeats):
            both = hits_of_two(loss, change, correlation, people, probes, rng)
            for way, interval in enumerate(PAIRED_WAYS.values()):
                low, high = interval(*both, probes)
                held[way, place] += low - 1e-9 <= 100 * loss <= high + 1e-9
                width[way, place] += high - low
    names = ("people", "probes", "loss", "change", "correlation")
    return _summary(PAIRED_WAYS, held, width, repeats, [dict(zip(names, case, strict=True)) for case in cases])


def measure(repeats: int) -> dict[str, Any]:
    """Coverage and width of every way, and the cases in which ours covers least."""
    cases = list(itertools.product(PEOPLE, PROBES, RATES, CORRELATIONS))
    held, width = (np.zeros((len(WAYS), len(cases))) for _ in range(2))
    for place, (people, probes, rate, correlation) in enumerate(cases):
        rng = np.random.default_rng(place)
        for _ in range(repeats):
            own = rates_of_people(rate, correlation, people, probes, rng)
            for way, interval in enumerate(WAYS.values()):
                low, high = interval(own, probes)
                held[way, place] += low - 1e-9 <= 100 * rate <= high + 1e-9
                width[way, place] += high - low
    names = ("people", "probes", "rate", "correlation")
    return _summary(WAYS, held, width, repeats, [dict(zip(names, case, strict=True)) for case in cases])


def _summary(
    ways: Iterable[str], held: np.ndarray, width: np.ndarray, repeats: int, cases: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The figures of each way, of which ``held`` and ``width`` have sums over the repeats, [ways, cases]."""
    coverage = held * 100 / repeats
    rows = {
        name: {
            "coverage": round(float(coverage[way].mean()), 1),
            "worst": round(float(coverage[way].min()), 1),
            "below_93": int((coverage[way] < 93).sum()),
            "width": round(float(width[way].mean()) / repeats, 1),
        }
        for way, name in enumerate(ways)
    }
    worst = [cases[n] for n in coverage[0].argsort()[:3]]
    return {"cases": len(cases), "repeats": repeats, "ways": rows, "least_covered": worst}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    parser.add_argument("--repeats", type=int, default=300, help="simulated tests of each case")
    options = parser.parse_args()
    result = {"benchmark": "intervals", **measure(options.repeats), "paired": measure_paired(options.repeats)}
    if not options.json:
        for part in (result, result["paired"]):
            print(f"{'':24} coverage  worst  cases below 93 %  width")
            for name, row in part["ways"].items():
                below = f"{row['below_93']:10} of {part['cases']}"
                print(f"{name:24} {row['coverage']:8} {row['worst']:6} {below} {row['width']:6}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
