"""Energy from samples of power."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.jetson import power, tegrastats

SAMPLES = Path(__file__).parents[1] / "fixtures/jetson/tegrastats.jsonl"


def sampled(idle: float, busy: float, step: float = 0.05, source: str = "ina3221", **more: Any) -> dict[str, Any]:
    """Samples of two seconds at rest, four at work and two at rest, in mW."""
    times = np.arange(0, 8, step)
    rails = ({"VDD_IN": busy if 2 <= time <= 6 else idle, "VDD_SOC": 1.0} for time in times)
    samples = [[float(time), values] for time, values in zip(times, rails, strict=True)]
    return {"source": source, "samples": samples, "fault": None, "began": 1.9, "ended": 6.1, **more}


@given(st.floats(500, 5000), st.floats(100, 20000), st.integers(1, 5000), st.integers(1, 8))
def test_energy_is_power_times_the_time_of_an_inference(idle: float, above: float, queries: int, batch: int) -> None:
    energy = power.energy(sampled(idle, idle + above), 2.5, 5.5, queries, 3.0, batch)
    each_s = 3.0 / queries / batch
    assert energy["gross_mj"] == pytest.approx((idle + above) * each_s, rel=1e-3, abs=1e-3)
    assert energy["idle_subtracted_mj"] == pytest.approx(above * each_s, rel=1e-3, abs=1e-3)
    assert energy["scope"] == "module, at its input VDD_IN"
    assert energy["rate_hz"] == pytest.approx(20, rel=0.05)


@given(
    st.lists(st.tuples(st.floats(0.001, 1), st.floats(0, 100)), min_size=3, max_size=40),
    st.floats(0, 0.4),
    st.floats(0.6, 1),
)
def test_mean_power_is_that_of_the_line_through_the_samples(points: list, first: float, last: float) -> None:
    times = np.cumsum([step for step, _ in points])
    watts = np.array([value for _, value in points])
    begin, end = (times[0] + share * (times[-1] - times[0]) for share in (first, last))
    fine = np.union1d(np.linspace(begin, end, 20001), times[(times > begin) & (times < end)])
    expected = np.trapezoid(np.interp(fine, times, watts), fine) / (end - begin)
    assert power.mean_power(times, watts, begin, end) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert watts.min() - 1e-9 <= power.mean_power(times, watts, begin, end) <= watts.max() + 1e-9


def test_lines_of_tegrastats_serve_as_well() -> None:
    line = json.loads(SAMPLES.read_text().splitlines()[5])["line"]
    samples = [[time, line] for time in np.arange(0, 8, 0.1)]
    energy = power.energy({**sampled(1, 1), "source": "tegrastats", "samples": samples}, 2.5, 5.5, 100, 3.0, 1)
    assert energy["gross_mj"] == pytest.approx(4067 * 0.03)
    assert energy["idle_subtracted_mj"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (sampled(1, 2, samples=[]), tegrastats.NO_POWER),
        (sampled(1, 2, samples=[], fault="the INA3221 sensors cannot be read: denied"), "denied"),
        (sampled(1, 2, step=2.0), "samples of power"),
        (sampled(1, 2, samples=[[0.1 * i, {"VDD_IN": 1.0} if i % 2 else {"SOC": 1.0}] for i in range(80)]), "other rails"),
        (sampled(1, 2, samples=[[0.1 * i, "RAM 1/2MB (lfb 1x4MB) CPU [off]"] for i in range(80)]), tegrastats.NO_POWER),
        (sampled(1, 2, began=-1.0, ended=9.0), "0 while idle"),
    ],
)
def test_missing_power_is_a_reason_and_never_a_zero(answer: dict[str, Any], reason: str) -> None:
    energy = power.energy(answer, 2.5, 5.5, 100, 3.0, 1)
    assert set(energy) == {"reason"}
    assert reason in energy["reason"]
