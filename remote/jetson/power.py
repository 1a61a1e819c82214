"""Compute the energy of an inference from samples of a board's power rails.

These rails count, and nothing counts twice (where NVIDIA's documents are silent, the sources are its engineers' answers):

- ``VDD_IN`` and ``POM_5V_IN`` are the module's input and hold all its other rails: Jetson Linux Developer Guide, "Power
  monitor"; https://forums.developer.nvidia.com/t/power-consumption-monitoring/73608 (Nano),
  https://forums.developer.nvidia.com/t/interpretation-of-jetson-nx-power-rail/200883 (Xavier NX). The rails of a TX1's or
  TX2's carrier board (``VDD_MUX`` and those behind it) lie beside ``VDD_IN`` and are not the module's.
- ``VIN`` of a Thor, an INA238 beside the INA3221, is the input of module and carrier board together:
  https://forums.developer.nvidia.com/t/question-about-power-monitor-with-additional-load-on-jetson-thor/366461
- AGX Xavier has no input rail. Its six come from two inputs of the module, of which neither feeds the other: Jetson AGX
  Xavier Product Design Guide (DG-09840-001), 5.6.2 and table 5-2.
- AGX Orin has none either. ``VIN_SYS_5V0`` feeds ``VDDQ_VDD2_1V8AO``, which only JetPack 5 shows, so the latter is never
  added: https://forums.developer.nvidia.com/t/jetson-agx-orin-ina3221-power-monitor-layout/223111
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from remote.jetson import tegrastats

# A scope and its rails: the first row whose rails a board has in full gives its power.
COUNTED = (
    ("board", ("VIN",)),  # Thor
    ("module", ("VDD_IN",)),  # TX1, TX2, TX2 NX, Xavier NX, Orin Nano, Orin NX
    ("module", ("POM_5V_IN",)),  # Nano
    ("module rails", ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")),  # AGX Orin
    ("module rails", ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V")),  # AGX Xavier
    ("module rails", ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0")),  # Thor on a carrier board without an INA238
)
LEAST_SAMPLES = 5
SETTLE_S = 0.3  # after a run, before the board counts as idle again


@dataclass(frozen=True)
class Counted:
    """The rails whose sum is a board's power.

    Attributes:
        scope: the thing whose power they give: "board", "module" or "module rails".
        rails: their names.
    """

    scope: str
    rails: tuple[str, ...]

    def __str__(self) -> str:
        if self.scope == "module rails":
            return f"module rails, summed: {' + '.join(self.rails)}"
        return f"{self.scope}, at its input {self.rails[0]}"

    def total(self, rails: Mapping[str, float]) -> float:
        """The sum of their power, in the unit of ``rails``."""
        return sum(rails[name] for name in self.rails)


def counted(rails: Collection[str]) -> Counted | None:
    """The rails of a board that count, or None where it is not known which of them lie inside others."""
    return next((Counted(scope, names) for scope, names in COUNTED if set(names) <= set(rails)), None)


def unknown(rails: Collection[str]) -> str:
    """The reason why unknown rails give no figure."""
    return f"it is not known which of the rails {', '.join(sorted(rails))} lie inside others"


def energy(power: Mapping[str, Any], begin: float, end: float, queries: int, seconds: float, batch: int) -> dict[str, Any]:
    """The energy of an inference.

    Args:
        power: the board's answer: ``source``, ``samples`` ([monotonic seconds, rails in mW or a line of tegrastats]),
            ``fault``, and when the run ``began`` and ``ended``.
        begin: when the timed part began, on the same clock.
        end: when it ended.
        queries: the number of queries of the timed part.
        seconds: how long they took, as measured by the program that ran them.
        batch: inferences a query.

    Returns:
        ``gross_mj``, ``idle_subtracted_mj``, ``idle_w``, ``mean_w``, ``scope``, ``rails`` (the counted ones), ``rate_hz``,
        ``source`` and ``queries``; or ``reason`` alone if there is no figure. Missing power never counts as 0.
    """
    readings = _readings(power)
    if not readings:
        return {"reason": power.get("fault") or tegrastats.NO_POWER}
    choices = {counted(rails) for _, rails in readings}
    if len(choices) > 1:
        return {"reason": "the board named other rails from sample to sample"}
    if (choice := choices.pop()) is None:
        return {"reason": unknown(readings[0][1])}
    times = np.array([time for time, _ in readings])
    watts = np.array([choice.total(rails) for _, rails in readings]) / 1000
    idle = np.concatenate([watts[times < power["began"]], watts[times > power["ended"] + SETTLE_S]])
    inside = int(((times >= begin) & (times <= end)).sum())
    if inside < LEAST_SAMPLES or not len(idle):
        return {"reason": f"only {inside} samples of power in {end - begin:.1f} s of work, {len(idle)} while idle"}
    mean, resting = mean_power(times, watts, begin, end), float(idle.mean())
    inference_s = seconds / queries / batch
    return {
        "gross_mj": round(1000 * mean * inference_s, 6),
        "idle_subtracted_mj": round(1000 * (mean - resting) * inference_s, 6),
        "mean_w": round(mean, 3),
        "idle_w": round(resting, 3),
        "queries": queries,
        "rate_hz": round((inside - 1) / (end - begin), 1),
        "scope": str(choice),
        "rails": list(choice.rails),
        "source": power["source"],
    }


def mean_power(times: np.ndarray, watts: np.ndarray, begin: float, end: float) -> float:
    """The mean power in W between two times, by the trapezoid rule, which lets power change evenly between samples."""
    inside = (times > begin) & (times < end)
    at = np.concatenate([[begin], times[inside], [end]])
    values = np.concatenate([[np.interp(begin, times, watts)], watts[inside], [np.interp(end, times, watts)]])
    return float(np.trapezoid(values, at) / (end - begin))


def _readings(power: Mapping[str, Any]) -> Sequence[tuple[float, Mapping[str, float]]]:
    """The samples that hold power: their times, and the rails in mW."""
    samples = (
        (time, tegrastats.parse(sample).power_mw if isinstance(sample, str) else sample) for time, sample in power["samples"]
    )
    return [(float(time), rails) for time, rails in samples if rails]
