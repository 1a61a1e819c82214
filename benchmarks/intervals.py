"""How often 95 % intervals of a rate hold the true rate, and how wide they are: ours beside four others.

People are simulated whose own rates differ: Beta-distributed about the true one, with a correlation of 0 to 0.5 between two
probes of one person. For each way of making an interval `coverage` is the mean over all cases, `worst` that of the worst
case, in %, and `width` the mean width in points. A mean near 95 with a poor worst is not honest; a width far above the
others' is a waste.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from gait.evaluation import intervals

PEOPLE, PROBES = (2, 4, 8, 14, 50), (2, 12, 40)
RATES, CORRELATIONS = (0.5, 0.8, 0.95, 0.99), (0.0, 0.1, 0.3, 0.5)
BOOTSTRAPS = 400

Interval = Callable[[np.ndarray, int], tuple[float, float]]


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
    held *= 100 / repeats
    width /= repeats
    rows = {
        name: {
            "coverage": round(float(held[way].mean()), 1),
            "worst": round(float(held[way].min()), 1),
            "below_93": int((held[way] < 93).sum()),
            "width": round(float(width[way].mean()), 1),
        }
        for way, name in enumerate(WAYS)
    }
    worst = [dict(zip(("people", "probes", "rate", "correlation"), cases[n], strict=True)) for n in held[0].argsort()[:3]]
    return {"benchmark": "intervals", "cases": len(cases), "repeats": repeats, "ways": rows, "least_covered": worst}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    parser.add_argument("--repeats", type=int, default=300, help="simulated tests of each case")
    options = parser.parse_args()
    result = measure(options.repeats)
    if not options.json:
        print(f"{'':24} coverage  worst  cases below 93 %  width")
        for name, row in result["ways"].items():
            print(
                f"{name:24} {row['coverage']:8} {row['worst']:6} {row['below_93']:10} of {result['cases']} {row['width']:6}"
            )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
