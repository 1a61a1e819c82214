"""How far the mean rate of one engine is above another's that was tested on the same people, with a 95 % interval.

Two engines of one network fail on much the same probes, so their difference is far surer than either rate. The interval is
by the bootstrap over people: people are drawn with replacement, the same for both engines, and the protocol's mean is
computed anew. Plain percentiles of that are too narrow for few people, so their distances from the difference are stretched
by the ratio of Student's quantile to the normal one and by the square root of n / (n - 1) (as Hesterberg, The American
Statistician 69, 2015, widens percentiles).

Where few probes changed, these tell little of how often that happens, and where none did, all draws are equal: the interval
would be a point. So two people whom nobody tested are drawn with the others, one above the mean difference and one below it,
by as much as those differ who changed (root mean square), and by a probe at least. Bonett and Price (Statistical Methods in
Medical Research 21, 2012) add a case to each kind of change for the same reason. `python -m benchmarks.intervals` says how
often this and other ways hold the true difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gait.errors import DataError
from gait.people import ByPerson, mean_rates

DRAWS, SEED = 2000, 0
TAIL = 0.025  # the share outside at either end
NORMAL = 1.959964  # the normal quantile of that


@dataclass(frozen=True)
class Difference:
    """How far one mean rate is above another, in percentage points.

    Attributes:
        points: the difference that was measured.
        low, high: the ends of its 95 % interval.
    """

    points: float
    low: float
    high: float


def difference(one: ByPerson, other: ByPerson) -> Difference | None:
    """The mean rate of one engine less that of another, on the same people; None for fewer than two people.

    Raises:
        DataError: they were tested on different people or probes.
    """
    if not one.comparable(other):
        raise DataError("the two were tested on different people or probes")
    people = len(one.hits)
    if people < 2:
        return None
    points = one.mean - other.mean
    drawn = draws(people)
    tested = drawn[:, :-2].sum(1) / people
    off = (drawn_differences(one, other) - points) * tested
    imagined = _change(one, other) / people * (drawn[:, -1] - drawn[:, -2])
    # Both ways round, so that the interval of B less A mirrors that of A less B.
    low, high = np.quantile([off + imagined, off - imagined], [TAIL, 1 - TAIL]) * stretch(people)
    return Difference(points, points + min(0.0, float(low)), points + max(0.0, float(high)))


def _change(one: ByPerson, other: ByPerson) -> float:
    """By how many points people differ who changed (root mean square), and at least by one of a person's probes."""
    own = mean_rates(one.hits, one.counted) - mean_rates(other.hits, other.counted)
    changed = own[own != 0]
    probes = one.counted.max(3).sum(dtype=np.int64)  # a probe counts in several gallery views
    return max(100 * len(own) / float(probes), float(np.mean(changed**2)) ** 0.5 if len(changed) else 0.0)


def drawn_differences(one: ByPerson, other: ByPerson) -> np.ndarray:
    """The difference of the protocol's means for each draw of people, [DRAWS]; 0 for a draw of nobody who was tested."""
    people, *shape = one.hits.shape
    # Whole numbers below 2 ** 24, so that float32 has their sums exactly, in half the time.
    more = (one.hits.astype(np.int64) - other.hits).reshape(people, -1).astype(np.float32)
    weights = _weights(one.counted.tobytes(), one.counted.dtype.str, (people, *shape))
    differences: np.ndarray = np.einsum("dc,dc->d", draws(people)[:, :-2] @ more, weights)
    return differences


@lru_cache(maxsize=2)
def _weights(counted: bytes, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    """What a hit in each cell adds to the protocol's mean in % for each draw, [DRAWS, cells]; given the counted probes.

    All engines that took one test share them.
    """
    people = shape[0]
    probes = np.frombuffer(counted, kind).reshape(people, -1).astype(np.float32)
    sums = (draws(people)[:, :-2] @ probes).reshape(DRAWS, *shape[1:]).astype(np.float64)
    there = sums > 0
    # How many gallery views, probe views and conditions the means are over.
    views, probe_views = there.sum(3, keepdims=True), there.any(3, keepdims=True).sum(2, keepdims=True)
    conditions = there.any((2, 3), keepdims=True).sum(1, keepdims=True)
    divisors = sums * views * probe_views * conditions
    return np.divide(100, divisors, out=np.zeros_like(sums), where=there).reshape(DRAWS, -1)


@lru_cache(maxsize=2)
def draws(people: int) -> np.ndarray:
    """How often each person is drawn, float32 [DRAWS, people + 2]; the last two are those whom nobody tested."""
    rng = np.random.default_rng(SEED)
    chosen = rng.integers(people + 2, size=(DRAWS, people)) + (people + 2) * np.arange(DRAWS)[:, None]
    counts = np.bincount(chosen.ravel(), minlength=DRAWS * (people + 2))
    return counts.reshape(DRAWS, people + 2).astype(np.float32)


def stretch(people: int) -> float:
    """By how much the interval of so many people is wider than percentiles of the bootstrap."""
    from scipy.special import stdtrit  # scipy.stats has it too, but takes a second to import

    return float(stdtrit(people - 1, 1 - TAIL)) / NORMAL * (people / (people - 1)) ** 0.5
