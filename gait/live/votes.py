"""The name of a track: what its last windows say together."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

VOTES = 5  # windows
ENOUGH = 0.5  # of the votes, and more than that: what a name needs


@dataclass
class Votes:
    """What the last windows of a track said: a name, or None for nobody who is known."""

    said: deque[tuple[str | None, float]] = field(default_factory=lambda: deque(maxlen=VOTES))

    def add(self, name: str | None, distance: float) -> None:
        """Count a window whose nearest person is at this distance."""
        self.said.append((name, distance))

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
