"""Power modes: the answer of ``nvpmodel -q`` and the list of modes in /etc/nvpmodel.conf.

Ids differ from board to board (MAXN_SUPER is 2 on an Orin Nano and 0 on an Orin NX), so modes go by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class PowerMode:
    """A power mode; the id is None if it is unknown."""

    name: str
    id: int | None


def parse_query(text: str) -> PowerMode | None:
    """The mode in the answer of ``nvpmodel -q``, with or without ``--verbose``; None if there is none.

    The id stands alone on the line after the name.
    """
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if match := re.search(r"NV Power Mode:\s*(\S+)\s*$", line):
            next_line = lines[number + 1].strip() if number + 1 < len(lines) else ""
            return PowerMode(match[1], int(next_line) if re.fullmatch(r"[0-9]+", next_line) else None)
    return None


def parse_config(text: str) -> dict[str, int]:
    """The ids of all modes of /etc/nvpmodel.conf by name."""
    return {name: int(number) for number, name in re.findall(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+?)\s*>", text)}


def parse_status(text: str, modes: dict[str, int]) -> PowerMode | None:
    """The mode in /var/lib/nvpmodel/status (``pmode:0002``), which needs no rights; its name as in the configuration."""
    match = re.search(r"pmode:(\d+)", text)
    if not match:
        return None
    names = {number: name for name, number in modes.items()}
    return PowerMode(names.get(int(match[1]), f"mode {int(match[1])}"), int(match[1]))


def errors(text: str) -> list[str]:
    """The errors that nvpmodel prints, without their prefix."""
    return re.findall(r"^NVPM ERROR:\s*(.*\S)", text, re.MULTILINE)
