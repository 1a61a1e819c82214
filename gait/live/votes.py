"""The name of a track: what its last windows say together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

VOTES = 5  # windows
ENOUGH = 0.5  # of the votes, and more than that: what a name needs


@dataclass(frozen=True)
class Votes:
    """What the last windows of a track said: a name, or None for nobody who is known.

    Nothing changes one: a thread names windows while another one shows what they say.
    """

    said: tuple[tuple[str | None, float], ...] = ()

    def and_also(self, name: str | None, distance: float) -> Votes:
        """These with one more window, whose nearest person is at this distance."""
        return Votes((*self.said, (name, distance))[-VOTES:])

    @property
    def name(self) -> str | None:
        """Who it is, if more than half of the windows agree; else None."""
        if not self.said:
            return None
        name, count = Counter(name for name, _ in self.said).most_common(1)[0]
        return name if count > ENOUGH * len(self.said) else None

    @property
    def agreed(self) -> int:
        """How many windows say what :attr:`name` says; those who name nobody agree with None."""
        name = self.name
        return sum(said == name for said, _ in self.said)

    @property
    def distance(self) -> float:
        """The mean distance of the windows that agree."""
        name = self.name
        near = [distance for said, distance in self.said if said == name]
        return sum(near) / len(near) if near else float("inf")
