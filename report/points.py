"""The points, staircases and error curves of the variants, computed once for the page's charts and the pictures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gaitpress.results.figures import COSTS, LATENCY, LATENCY_HIGH, LATENCY_LOW
from gaitpress.results.records import Row

MOST_ACCEPTED = 60  # %: nobody lets in more strangers, so error curves end there, or at their equal error rate
FEW = 40  # with more variants, only Pareto-optimal ones are labelled


@dataclass(frozen=True)
class Point:
    """A variant in the plane of mean rank-1 against a cost.

    Attributes:
        x: the cost, in the unit that people see.
        y: mean rank-1, %.
        low, high: the 95 % interval of ``y``; None where it is not known.
        left, right: the 95 % interval of ``x``, which only times have; None where it is not known.
    """

    x: float
    y: float
    low: float | None
    high: float | None
    left: float | None
    right: float | None


def point(row: Row, cost: str) -> Point | None:
    """A variant's point for a cost, a key of COSTS; None if its cost or accuracy is not known."""
    x = COSTS[cost].scaled(row) if row.has(cost) else None
    if x is None:
        return None
    p50, fast, slow = (figure.of(row) for figure in (LATENCY, LATENCY_LOW, LATENCY_HIGH))
    timed = cost == "time" and bool(p50) and None not in (fast, slow)
    return Point(x, row.rank1, *row.rank1_interval, x * fast / p50 if timed else None, x * slow / p50 if timed else None)


@dataclass(frozen=True)
class ErrorCurve:
    """The detection error trade-off (DET) of a variant as far as its trials can show it, in %.

    Attributes:
        far: false accept rates, ascending.
        frr: the false reject rate at each.
        eer: the equal error rate, which is on the curve; None if it is less than one trial.
    """

    far: list[float]
    frr: list[float]
    eer: float | None


def error_curve(row: Row) -> ErrorCurve | None:
    """The curve of a variant whose record has one, without rates of less than one trial, which nobody can measure."""
    rates = row.get("accuracy", "open_set") or {}
    if "det" not in rates or not all(rates["trials"].values()):
        return None
    strangers, fewest = rates["trials"]["strangers"], min(rates["trials"].values())
    eer = round(rates["eer"], 3) if 100 / fewest <= rates["eer"] <= 100 - 100 / fewest else None
    # A threshold is a stranger's distance and accepts those who are nearer: a whole number, so of few strangers
    # neighbouring rates of the record are one point.
    accepted = [math.floor((strangers - 1) * (far / 100)) for far in rates["det"]["far"]]
    curve = {
        round(100 * count / strangers, 3): frr
        for count, frr in zip(accepted, rates["det"]["frr"], strict=True)
        if count and 100 * count / strangers <= max(MOST_ACCEPTED, eer or 0) and 0 < frr < 100
    }
    if eer is not None:
        curve[eer] = eer
    return ErrorCurve(sorted(curve), [curve[far] for far in sorted(curve)], eer)


def staircase(points: Iterable[Point], end: float) -> list[tuple[float, float]]:
    """The corners of a front, up to ``end`` of the x axis: between two points the slower has to be paid for in full."""
    steps = sorted((place.x, place.y) for place in points)
    return [*steps, (end, steps[-1][1])] if steps else []


def span(points: Sequence[Point]) -> tuple[float, float]:
    """The least and the greatest rank-1 of the points and their intervals."""
    drawn = [value for place in points for value in (place.y, place.low, place.high) if value is not None]
    return min(drawn), max(drawn)
