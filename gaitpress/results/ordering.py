"""Which of several variants is the best: by accuracy or by speed, and the fastest within a budget of accuracy."""

from __future__ import annotations

import math
from collections.abc import Iterable

from gaitpress.results.figures import ENERGY, SIZE, TIME
from gaitpress.results.records import Row


def order(row: Row, by_time: bool) -> tuple[float, ...]:
    """The sort key of variants, the best first: the fastest or the most accurate, then of less energy, then smaller."""
    time, accuracy = _known(TIME.of(row)), -row.rank1
    energy, size = (_known(figure.of(row)) for figure in (ENERGY, SIZE))
    return (time, accuracy, energy, size) if by_time else (accuracy, time, energy, size)


def _known(value: float | None) -> float:
    return math.inf if value is None else value


def within(row: Row, budget: float, sure: bool) -> bool:
    """Whether a variant is known to lose at most so many points of mean rank-1 against its dense network.

    Args:
        row: the variant.
        budget: points.
        sure: whether the whole interval of the loss must be within the budget.
    """
    return row.loss is not None and (row.loss.surely_within(budget) if sure else row.loss.points <= budget)


def fastest_within(rows: Iterable[Row], budget: float, sure: bool) -> Row | None:
    """The fastest of the variants of one device that are :func:`within` the budget; None if there is none."""
    kept = [row for row in rows if row.eligible and row.plotted and within(row, budget, sure)]
    return min(kept, key=lambda row: order(row, True), default=None)
