"""Energy of an inference from samples of a board's power rails.

The rails of a board and what each one feeds: NVIDIA Jetson Linux Developer Guide, "Power monitor".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from remote.jetson import tegrastats

# Rails through which everything comes; boards without one (AGX Xavier, AGX Orin) are the sum of what they measure.
INPUTS = ("VDD_IN", "POM_5V_IN", "VIN")
LEAST_SAMPLES = 5
SETTLE_S = 0.3  # after a run, before the board counts as idle again


def total(rails: Mapping[str, float]) -> tuple[str, float]:
    """What a reading of all rails amounts to.

    Args:
        rails: power by rail, in mW.

    Returns:
        What was measured, in words, and the power in mW.

    Raises:
        ValueError: there is no rail.
    """
    for name in INPUTS:
        if name in rails:
            return f"module, at its input {name}", rails[name]
    if not rails:
        raise ValueError("no rail")
    return f"module rails, summed: {' + '.join(sorted(rails))}", sum(rails.values())


def energy(power: Mapping[str, Any], begin: float, end: float, queries: int, seconds: float, batch: int) -> dict[str, Any]:
    """Energy of an inference.

    Args:
        power: the board's answer: ``source``, ``samples`` ([monotonic seconds, rails in mW or a line of tegrastats]),
            ``fault``, and when the run ``began`` and ``ended``.
        begin: when the timed part began, on the same clock.
        end: when it ended.
        queries: of the timed part.
        seconds: how long they took by trtexec's own count.
        batch: inferences a query.

    Returns:
        ``gross_mj``, ``idle_subtracted_mj``, ``idle_w``, ``mean_w``, ``scope``, ``rate_hz``, ``source`` and ``queries``;
        or ``reason`` alone if there is no figure. Power that is not told is never taken for 0.
    """
    readings = list(_readings(power))
    if not readings:
        return {"reason": power.get("fault") or tegrastats.NO_POWER}
    scopes = {scope for _, scope, _ in readings}
    if len(scopes) > 1:
        return {"reason": "the board told other rails from sample to sample"}
    times = np.array([time for time, _, _ in readings])
    watts = np.array([milliwatts for _, _, milliwatts in readings]) / 1000
    idle = np.concatenate([watts[times < power["began"]], watts[times > power["ended"] + SETTLE_S]])
    inside = int(((times >= begin) & (times <= end)).sum())
    if inside < LEAST_SAMPLES or not len(idle):
        return {"reason": f"only {inside} samples of power in {end - begin:.1f} s of work, {len(idle)} while idle"}
    mean, resting = mean_power(times, watts, begin, end), float(idle.mean())
    each_s = seconds / queries / batch
    return {
        "gross_mj": round(1000 * mean * each_s, 4),
        "idle_subtracted_mj": round(1000 * (mean - resting) * each_s, 4),
        "mean_w": round(mean, 3),
        "idle_w": round(resting, 3),
        "queries": queries,
        "rate_hz": round((inside - 1) / (end - begin), 1),
        "scope": scopes.pop(),
        "source": power["source"],
    }


def mean_power(times: np.ndarray, watts: np.ndarray, begin: float, end: float) -> float:
    """Mean power in W between two times, by the trapezoid rule; between samples power is taken to change evenly."""
    inside = (times > begin) & (times < end)
    at = np.concatenate([[begin], times[inside], [end]])
    values = np.concatenate([[np.interp(begin, times, watts)], watts[inside], [np.interp(end, times, watts)]])
    return float(np.trapezoid(values, at) / (end - begin))


def _readings(power: Mapping[str, Any]) -> Sequence[tuple[float, str, float]]:
    found = []
    for time, sample in power["samples"]:
        rails = tegrastats.parse(sample).power_mw if isinstance(sample, str) else sample
        if rails:
            found.append((float(time), *total(rails)))
    return found
