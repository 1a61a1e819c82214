"""How long stages took, as `logs/durations.csv` has it, and what that says of those that are to run."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from operator import eq
from pathlib import Path

from gaitpress.command_line import DURATIONS


class StageTimes:
    """How long stages will take, by how long they and others like them took."""

    def __init__(self, durations: Mapping[str, float], devices: Collection[str]) -> None:
        """Take seconds that stages last took, by address in the order in which they ran, and the names of the devices."""
        self._durations, self._devices = durations, devices
        # The parts of their items and their seconds, by the stage's name and the device.
        self._alike: dict[tuple[str, str | None], list[tuple[list[str], float]]] = {}
        for address, seconds in reversed(list(durations.items())):
            name, _, items = address.partition("@")
            self._alike.setdefault((name, self._device(items)), []).append((items.split("-"), seconds))

    def likely(self, address: str) -> float | None:
        """How long a stage will take: as long as it last took, or as the stage of its name with the most alike item did.

        What another device took says nothing of this one.

        Returns:
            Seconds; None if no stage of its name has run, on its device if it has one.
        """
        if address in self._durations:
            return self._durations[address]
        name, _, items = address.partition("@")
        parts = items.split("-")
        # Among stages that share as much, the last to run.
        alike = self._alike.get((name, self._device(items)), [])
        _, seconds = max(alike, key=lambda other: sum(map(eq, parts, other[0])), default=(None, None))
        return seconds

    def _device(self, items: str) -> str | None:
        """The device of a stage: the first part of its item, if any; names of devices may have dashes too."""
        return max((device for device in self._devices if f"{items}-".startswith(f"{device}-")), key=len, default=None)


def recorded(path: Path = DURATIONS) -> dict[str, float]:
    """Seconds that stages last took, by address, in the order in which they last ran."""
    durations: dict[str, float] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            whole = re.fullmatch(r"(.+),(\d+\.\d)", line)  # a line that a full disk cut does not match
            if whole:
                durations.pop(whole[1], None)
                durations[whole[1]] = float(whole[2])
    return durations
