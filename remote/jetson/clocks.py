"""Read the answer of ``jetson_clocks --show``: clocks of processors, GPU and memory, and whether they are locked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Clocks:
    """Clocks of a board.

    Attributes:
        units: for each line such as ``GPU MinFreq=... MaxFreq=...``, its settings as printed, by the line's name.
        other: lines of another form, such as the SOC family and the power mode.
    """

    units: Mapping[str, Mapping[str, str]]
    other: tuple[str, ...]

    def hz(self, unit: str) -> tuple[int, int, int] | None:
        """Lowest, highest and current clock of a unit such as "GPU", "EMC" or "cpu0" in Hz; None if one is missing."""
        # A Thor has no line "GPU", but a line for each part of it: "gpu-gpc-0" computes, "gpu-nvd-0" decodes video.
        names = [unit, *(name for name in self.units if unit == "GPU" and name.startswith("gpu-gpc"))]
        settings = next((self.units[name] for name in names if name in self.units), {})
        values = [settings.get(key, "") for key in ("MinFreq", "MaxFreq", "CurrentFreq")]
        if not all(re.fullmatch(r"[0-9]+", value) for value in values):
            return None
        low, high, now = map(int, values)
        return low, high, now

    @property
    def locked(self) -> bool | None:
        """Whether the GPU can only run at one clock, and does; None if the text lacks its clocks."""
        gpu = self.hz("GPU")
        return None if gpu is None else gpu[0] == gpu[1] == gpu[2]


def parse(text: str) -> Clocks:
    """Read the answer; unknown settings stay as they are printed."""
    units: dict[str, dict[str, str]] = {}
    other = []
    for line in filter(None, map(str.strip, text.splitlines())):
        settings = dict(re.findall(r"(\w+)=(\S+)", line))
        name = re.match(r"([\w-]+):?\s+(?=.*\w+Freq=)", line)
        if name and settings:
            units[name[1]] = settings
        else:
            other.append(line)
    return Clocks(units, tuple(other))
