"""What compression costs a variant: its mean rank-1 against that of its dense network, on the same test people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gaitpress.results.records import Row

DIGITS = 6  # after the point: 91.2 less 90.2 is not above 1


@dataclass(frozen=True)
class Loss:
    """By how many points of mean rank-1 a variant is below its dense network.

    Attributes:
        points: the loss that was measured; below 0 if the variant is better.
        low, high: the ends of its paired 95 % interval (:mod:`gait.paired`); None if it is not known.
        unknown: why the interval is not known, and what to type; "" if it is known.
    """

    points: float
    low: float | None
    high: float | None
    unknown: str = ""

    def surely_within(self, budget: float) -> bool:
        """Whether the whole interval is within a budget; an unknown interval is not."""
        return self.high is not None and self.high <= budget


def loss_of(row: Row, dense: Row | None) -> Loss | None:
    """The loss of a variant against its dense network, the same model's at percentile 0 in fp32 on the same device.

    Returns:
        None if one of the two rates is not known.

    Raises:
        StageError: a record's hits are damaged.
    """
    if dense is None or row.rank1 is None or dense.rank1 is None:
        return None
    points = round(dense.rank1 - row.rank1, DIGITS)
    if row.key == dense.key:
        return Loss(0.0, 0.0, 0.0)  # one engine, which differs from itself for no other people either
    from gait import paired  # imports numpy, for which commands that only read params.yaml must not wait

    if without := [compared for compared in (dense, row) if not compared.by_person]:
        return Loss(points, None, None, _without(without))
    one, other = dense.hits_of_people, row.hits_of_people
    if not one.comparable(other):
        return Loss(points, None, None, f"the two were tested on different walks: {again([dense, row])}")
    difference = paired.difference(one, other)
    if difference is None:
        return Loss(points, None, None, "one person tells nothing of others")
    return Loss(points, round(difference.low, DIGITS), round(difference.high, DIGITS))


def _without(rows: Iterable[Row]) -> str:
    """Why these rows have no hits of each person."""
    if old := [row for row in rows if row.by_person is not None]:
        return f"made before the hits of each person were kept: {again(old)}"
    return "its protocol's mean rank-1 is not the mean of its hits"


def again(rows: Iterable[Row]) -> str:
    """The command that recognises people with these variants again."""
    return f"`dvc repro {' '.join(row.address('recognise') for row in rows)}`"
