"""Read lines of ``tegrastats``, whose form differs from JetPack to JetPack (4.x to 7.x)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

NO_POWER = "tegrastats prints no power on this board"
SENSOR_OFF_C = -256.0

TIME = re.compile(r"^\d\d-\d\d-\d{4} \d\d:\d\d:\d\d(?=\s|$)")
MEMORY = re.compile(r"(?<!\S)(RAM|SWAP|IRAM) (\d+)/(\d+)([kM])B ?\((?:lfb|cached) [^)]*\)")
CPU = re.compile(r"(?<!\S)CPU \[([^\]]*)\](?:@(\d+))?(?!\S)")
CORE = re.compile(r"(\d+)%(?:@(\d+))?")
# Thor and newer print a clock without a load, an array with a clock for each GPU cluster, and words in place of clocks.
GPU = re.compile(r"(?<!\S)(GR3D\d*_FREQ) (?=[\d@])(?:(\d+)%)?(?:@(\d+|\[[^\]]*\]))?(?!\S)")
MEMORY_BUS = re.compile(r"(?<!\S)EMC_FREQ (?=[\d@])(?:(\d+)%)?(?:@(\d+))?(?!\S)")
TEMPERATURE = re.compile(r"(?<!\S)([A-Za-z][\w-]*)@(-?\d+(?:\.\d+)?)C(?:/-?\d+(?:\.\d+)?C)?(?!\S)")
# JetPack 4 to 6 print current/average, 7 current/average/maximum; the average runs since tegrastats began. A line that is
# cut off may end like a rail: "RAM 721/3".
RAIL = r"(?<!\S)(?!(?:RAM|SWAP|IRAM) )([A-Z]\w*)"
# A sensor without current may read a little below 0.
POWER = re.compile(rf"{RAIL} (-?\d+)(?:/-?\d+){{1,2}}(?!\S)|{RAIL} (-?\d+)mW(?:/-?\d+mW){{1,2}}(?!\S)")


@dataclass(frozen=True)
class Reading:
    """The content of a line; values that it lacks are None or absent.

    Attributes:
        time: its date and time as printed (from JetPack 5).
        memory_mb: used and total memory, for RAM, SWAP and IRAM.
        cpu: load in % and clock in MHz (or None) of each core, None for a core that is off.
        gpu_load: load of each GPU in %, by the name of its field, where the line has it.
        gpu_mhz: clocks of all GPU clusters that are on.
        memory_bus: load in % and MHz, each None where the line lacks it; None if it lacks both.
        temperatures_c: the temperature in °C by sensor, without sensors that are off.
        power_mw: the current reading in mW by rail, without unconnected rails.
        power_reason: why there is no power, or None if there is.
        other: the words of the line that are none of these, in order.
    """

    time: str | None
    memory_mb: Mapping[str, tuple[float, float]]
    cpu: tuple[tuple[int, int | None] | None, ...]
    gpu_load: Mapping[str, int]
    gpu_mhz: tuple[int, ...]
    memory_bus: tuple[int | None, int | None] | None
    temperatures_c: Mapping[str, float]
    power_mw: Mapping[str, int]
    power_reason: str | None
    other: tuple[str, ...]


def parse(line: str) -> Reading:
    """Read a line, whole or not: a field that is cut off is absent, the words of an unknown field go to ``other``."""
    text = " ".join(line.split())
    rest = text

    def take(pattern: re.Pattern[str]) -> list[re.Match[str]]:
        nonlocal rest
        matches = list(pattern.finditer(text))
        for match in matches:
            # Blanks of the same length, so that no two neighbours become one word.
            rest = rest[: match.start()] + " " * len(match[0]) + rest[match.end() :]
        return matches

    time = take(TIME)
    memory = {m[1]: (_megabytes(m[2], m[4]), _megabytes(m[3], m[4])) for m in take(MEMORY)}
    cores = [_core(core, match[2]) for match in take(CPU) for core in match[1].split(",") if core.strip()]
    gpus = take(GPU)
    bus = take(MEMORY_BUS)
    temperatures = {m[1]: float(m[2]) for m in take(TEMPERATURE)}
    power = {m[1] or m[3]: int(m[2] or m[4]) for m in take(POWER)}
    power.pop("NC", None)
    return Reading(
        time=time[0][0] if time else None,
        memory_mb=memory,
        cpu=tuple(cores),
        gpu_load={m[1]: int(m[2]) for m in gpus if m[2]},
        gpu_mhz=tuple(int(clock) for m in gpus for clock in re.findall(r"(?<![\w.-])\d+(?![\w.])", m[3] or "")),
        memory_bus=(_number(bus[0][1]), _number(bus[0][2])) if bus else None,
        temperatures_c={name: value for name, value in temperatures.items() if value != SENSOR_OFF_C},
        power_mw=power,
        power_reason=None if power else NO_POWER,
        other=tuple(rest.split()),
    )


def _megabytes(number: str, unit: str) -> float:
    return int(number) / (1024 if unit == "k" else 1)


def _core(text: str, clock: str | None) -> tuple[int, int | None] | None:
    """A core's load and clock; Thor prints one ``clock`` for all cores, behind the list."""
    match = CORE.fullmatch(text.strip())
    return (int(match[1]), _number(match[2] or clock)) if match else None


def _number(digits: str | None) -> int | None:
    return int(digits) if digits else None
