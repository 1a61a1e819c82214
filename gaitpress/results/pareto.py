"""Find the variants that are worth deploying: no other beats them in both cost and accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Positions of the Pareto-optimal points, by rising cost.

    One point beats another if it costs no more, gains no less and is better in at least one of the two. Equal points do
    not beat each other, so ties stay in together.

    Args:
        points: (cost, gain) of each candidate; finite numbers.
    """
    best = float("-inf")
    positions = []
    order = sorted(range(len(points)), key=lambda position: points[position])
    for _, group in groupby(order, key=lambda position: points[position][0]):
        same_cost = list(group)
        gain = max(points[position][1] for position in same_cost)
        if gain > best:
            best = gain
            positions += [position for position in same_cost if points[position][1] == gain]
    return positions
