"""Open-set identification: telling enrolled people from everybody else by a greatest distance.

Every probe makes two trials. In one its person is enrolled, and is accepted rightly if the nearest of all is the person's
own and nearer than the threshold (the true accept rate, TAR). In the other its person is taken out of the gallery, and is
accepted wrongly if anybody is nearer than the threshold (the false accept rate, FAR; ISO/IEC 19795-1 calls it false-positive
identification rate). Both hold for a gallery of this many people: among more, a stranger finds someone near more easily.

A threshold that was chosen on the people whom it is tested on promises too much. So people are split in two halves, and each
half is tested with the threshold of the other.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from gait.data.prepared.sets import Distance
from gait.evaluation import intervals
from gait.evaluation.blas import one_thread
from gait.evaluation.blocks import BLOCK_ROWS, BLOCK_SHARE, CHUNK_ROWS, CHUNK_SHARE, Block, Search, World, size_of

PROMISED = (10.0, 1.0, 0.1)  # false accept rates in %
CURVE = tuple(round(float(far), 3) for far in np.geomspace(0.1, 100, 31))  # false accept rates in % of the DET curve


@dataclass(frozen=True)
class Trials:
    """The two trials of each probe.

    Attributes:
        people: the person of each probe.
        right: the distance to the nearest enrolled sequence of that person; inf without one.
        wrong: the distance to the nearest of all other people.
        enrolled: the number of people in the gallery.
    """

    people: np.ndarray
    right: np.ndarray
    wrong: np.ndarray
    enrolled: int


def trials(values: np.ndarray, search: Search, kind: Distance = "euclidean", threads: int = 1) -> Trials:
    """Look for every probe among all groups of the gallery but those that are excluded for it.

    Args:
        values: float32 [samples, parts, channels], signatures as the network gave them.
        search: the probes and the gallery.
        kind: the mean over parts of the Euclidean distance, or 1 minus the mean of the cosines.
        threads: the number of threads.

    Returns:
        Distances in float32, without probes that have no one to be compared with.

    Raises:
        DataError: a signature is not finite.
    """
    right, wrong = (np.full(len(search.probe), np.inf, np.float32) for _ in range(2))
    chunk = size_of(CHUNK_SHARE, len(values), threads, CHUNK_ROWS)
    with one_thread(), ThreadPoolExecutor(threads) as pool:
        world = World.of(values, search, kind)
        order = np.argsort(world.scaled.halves[search.gallery].sum(1), kind="stable")  # short ones are near to everybody

        def answer(chosen: np.ndarray) -> None:
            block = _Nearest(world, chosen)
            for start in range(0, len(order), chunk):
                block.compare(np.arange(len(chosen)), np.sort(order[start : start + chunk]))
            right[chosen], wrong[chosen] = block.right_distance, block.wrong_distance

        for _ in pool.map(answer, search.blocks(size_of(BLOCK_SHARE, len(values), threads, BLOCK_ROWS))):
            pass
    compared = np.isfinite(wrong)
    people = search.people[search.probe]
    enrolled = len(np.unique(search.people[search.gallery]))
    return Trials(people[compared], right[compared], wrong[compared], enrolled)


class _Nearest(Block):
    """A block of probes and their distances to the nearest sequences of their own person and of others."""

    def __init__(self, world: World, chosen: np.ndarray) -> None:
        super().__init__(world, chosen)
        self.excluded = self.search.excluded[chosen]
        self.right_distance, self.wrong_distance = (np.full(len(chosen), np.inf, np.float32) for _ in range(2))
        self.limit = np.where(self.excluded, -np.inf, np.inf).astype(np.float32)
        for rows, columns, distance, _ in self.right():
            absent = self.excluded[rows][:, self.search.groups[columns]].T
            self.right_distance[rows] = np.where(absent, np.inf, distance).min(0)

    def note(self, rows: np.ndarray, columns: np.ndarray, distance: np.ndarray, error: np.ndarray) -> None:
        absent = self.excluded[rows][:, self.search.groups[columns]].T
        wrong = (self.enrolled[columns, None] != self.people[rows]) & ~absent
        self.wrong_distance[rows] = np.minimum(self.wrong_distance[rows], np.where(wrong, distance, np.inf).min(0))
        self._limit(rows)

    def note_pairs(self, rows: np.ndarray, columns: np.ndarray, distance: np.ndarray, error: np.ndarray) -> None:
        np.minimum.at(self.wrong_distance, rows, distance)
        self._limit(rows)

    def _limit(self, rows: np.ndarray) -> None:
        """What is farther than the nearest wrong one so far does not matter."""
        self.limit[rows] = np.where(self.excluded[rows], -np.inf, self.wrong_distance[rows, None])


def rates(nearest: Trials) -> dict[str, Any] | None:
    """What can be promised of strangers, and what it costs those who are enrolled.

    Returns:
        In JSON's types, rates in %; None for fewer than four people. ``enrolled``: people in the gallery. ``trials``: how
        many there are of either kind. ``eer``: the rate at which as many strangers are accepted as enrolled people are not
        recognised. ``det``: ``far`` and ``frr``, the share that is not recognised, at thresholds of the same people. And
        under ``promised``, for each false accept rate that so few people can show: ``far``; the ``threshold`` of all people,
        below which a distance is accepted; and the ``tar`` and ``false_accepts`` of each half of the people by the threshold
        of the other, each with ``rate``, ``interval``, ``people`` and ``probes``.
    """
    names = np.unique(nearest.people)
    if len(names) < 4:
        return None
    half = np.isin(nearest.people, names[::2])
    genuine = np.isfinite(nearest.right)
    promised = []
    for far in PROMISED:
        of_others, of_half = (threshold(nearest.wrong[side], far) for side in (~half, half))
        if of_others is None or of_half is None:
            continue
        limit = np.where(half, of_others, of_half)
        promised.append(
            {
                "far": far,
                "threshold": threshold(nearest.wrong, far),
                "tar": _share(nearest.people[genuine], _accepted(nearest, limit)[genuine]),
                "false_accepts": _share(nearest.people, nearest.wrong < limit),
            }
        )
    limits = np.quantile(nearest.wrong, np.array(CURVE) / 100, method="lower").tolist()
    missed = [100 * float(1 - _accepted(nearest, limit)[genuine].mean()) for limit in limits]
    return {
        "enrolled": nearest.enrolled,
        "trials": {"enrolled": int(genuine.sum()), "strangers": len(nearest.people)},
        "eer": equal_error_rate(nearest),
        "det": {"far": list(CURVE), "frr": [round(rate, 3) for rate in missed]},
        "promised": promised,
    }


def _accepted(nearest: Trials, limit: np.ndarray | float) -> np.ndarray:
    """Which enrolled people are recognised, where distances below the limit are accepted."""
    accepted: np.ndarray = (nearest.right < limit) & (nearest.right < nearest.wrong)
    return accepted


def threshold(wrong: np.ndarray, far: float) -> float | None:
    """The greatest distance below which at most ``far`` % of the strangers' nearest distances are.

    None where the strangers are too few to show such a rate: one of them would be more than that.
    """
    allowed = int(np.floor(len(wrong) * far / 100 + 1e-9))
    return float(np.sort(wrong)[min(allowed, len(wrong) - 1)]) if allowed else None


def equal_error_rate(nearest: Trials) -> float:
    """The rate in % at which strangers are accepted as often as enrolled people are not recognised, between two trials."""
    genuine = np.isfinite(nearest.right)
    recognised = np.sort(nearest.right[genuine & (nearest.right < nearest.wrong)])
    strangers = np.sort(nearest.wrong)
    limits = np.unique(np.concatenate([recognised, strangers, [np.inf]]))
    accepted = np.searchsorted(strangers, limits) / len(strangers)
    missed = 1 - np.searchsorted(recognised, limits) / max(1, genuine.sum())
    above = int(np.argmax(accepted >= missed))  # not the first, where nobody is accepted
    # Both rates change between two thresholds; their straight lines cross in between.
    gap, gap_before = accepted[above] - missed[above], missed[above - 1] - accepted[above - 1]
    share = gap_before / (gap + gap_before)
    return 100 * float(accepted[above - 1] + share * (accepted[above] - accepted[above - 1]))


def _share(people: np.ndarray, yes: np.ndarray) -> dict[str, Any]:
    """The share of trials in % with its interval over people."""
    names, person = np.unique(people, return_inverse=True)
    counts, hits = np.bincount(person), np.bincount(person, yes)
    rate = 100 * float(yes.mean())
    without = 100 * (hits.sum() - hits) / (counts.sum() - counts) if len(names) > 1 else np.empty(0)
    interval = intervals.of_rate(rate, without, len(people))
    return {
        "rate": rate,
        "interval": None if interval is None else list(interval),
        "people": len(names),
        "probes": len(people),
    }
