"""Which variants are worth deploying: those that no other beats in both time and accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Positions of the Pareto-optimal points, by rising cost.

    A point is beaten by one that costs no more and gains no less, and better in at least one. Equal points
    do not beat each other, so ties stay in together.

    Args:
        points: (cost, gain) of each candidate; finite numbers.
    """
    best = float("-inf")
    found = []
    order = sorted(range(len(points)), key=lambda position: points[position])
    for _, group in groupby(order, key=lambda position: points[position][0]):
        same_cost = list(group)
        gain = max(points[position][1] for position in same_cost)
        if gain > best:
            best = gain
            found += [position for position in same_cost if points[position][1] == gain]
    return found
