from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remote import benchmark

TIMES = st.lists(st.lists(st.floats(0.01, 1e3), min_size=2, max_size=40), min_size=1, max_size=4)


@settings(max_examples=30)
@given(TIMES)
def test_the_statistics_are_those_of_all_queries_together(repeats: list[list[float]]) -> None:
    latency = benchmark.latency(repeats)
    pooled = sorted(sample for repeat in repeats for sample in repeat)
    middle = (pooled[(len(pooled) - 1) // 2] + pooled[len(pooled) // 2]) / 2
    mean = sum(pooled) / len(pooled)
    spread = (sum((sample - mean) ** 2 for sample in pooled) / len(pooled)) ** 0.5
    assert latency["queries"] == len(pooled)
    for name, value in (("p50", middle), ("mean", mean), ("cov", spread / mean), ("min", pooled[0]), ("max", pooled[-1])):
        assert latency[name] == pytest.approx(value, abs=1e-4)
    assert latency["min"] <= latency["p50"] <= latency["p90"] <= latency["max"]
    assert latency["min"] <= latency["p50_low"] <= latency["p50_high"] <= latency["max"]
    assert latency["p99"] is None


def test_the_99th_percentile_needs_a_thousand_queries() -> None:
    assert benchmark.latency([list(range(1, 1001))])["p99"] == pytest.approx(990, abs=1)
    assert benchmark.latency([list(range(1, 1000))])["p99"] is None


def test_differences_between_processes_widen_the_interval_of_the_median() -> None:
    rng = np.random.default_rng(0)
    same = [rng.normal(10, 0.1, 200) for _ in range(3)]
    different = [rng.normal(centre, 0.1, 200) for centre in (9, 10, 11)]
    widths = [np.diff(benchmark.median_interval(repeats))[0] for repeats in (same, different)]
    assert widths[1] > 10 * widths[0]


def test_scattered_times_and_a_machine_that_changes_speed_are_reported() -> None:
    assert benchmark.judge({"cov": 0.19}, 0.09, 0.2) == []
    [unstable] = benchmark.judge({"cov": 0.21}, 0.09, 0.2)
    assert "coefficient of variation 0.21 is above 0.2" in unstable
    [drifted] = benchmark.judge({"cov": 0.19}, 0.11, 0.2)
    assert "varied by 11 %" in drifted
    assert len(benchmark.judge({"cov": 1}, 1, 0.2)) == 2


def repeat(others: float | None, settled: bool | None = True) -> dict[str, Any]:
    return {"others": others, "warmup": {"settled": settled, "seconds": 20.0}}


def test_a_machine_that_others_use_is_reported() -> None:
    assert benchmark.disturbed([repeat(0.4), repeat(None)], cores=2) == []
    [busy] = benchmark.disturbed([repeat(0.1), repeat(1.9)], cores=2)
    assert busy.startswith("busy: other programs took 1.9 of 2 cores during the measurement (limit 0.5); end them")
    assert benchmark.disturbed([repeat(1.9)], cores=32) == []


def test_times_that_never_settled_are_reported() -> None:
    assert benchmark.disturbed([repeat(0, settled=False), repeat(0)], cores=2) == []
    [reason] = benchmark.disturbed([repeat(0, settled=False)] * 2, cores=2)
    assert "still changed after 20 s of warm-up, in all repeats" in reason
    assert benchmark.disturbed([repeat(0, settled=None), repeat(0, settled=False)], cores=2) == []  # too slow to compare
    assert benchmark.disturbed([{"settled": True, "p50": 1.0}], cores=6) == []  # as TensorRT's are


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=1, max_size=4))
def test_drift_is_the_slowest_reference_over_the_fastest(times: list[tuple[float, float]]) -> None:
    repeats = [{"reference_ms_before": first, "reference_ms_after": last} for first, last in times]
    all_times = [time for pair in times for time in pair]
    assert benchmark.drift(repeats) == pytest.approx(max(all_times) / min(all_times) - 1)
    assert benchmark.drift(repeats) >= 0


def reference(before: float, after: float) -> dict[str, Any]:
    return {"reference_ms_before": before, "reference_ms_after": after}


def test_repeats_during_which_the_machine_was_slower_are_replaced() -> None:
    fast, slow, slowed = reference(1.0, 1.05), reference(1.3, 1.31), reference(1.0, 1.3)
    assert benchmark.calmest([slow, fast, slowed, fast], 2) == [fast, fast]
    assert benchmark.calmest([slowed, slow, fast], 2) == [slowed, fast]
    assert benchmark.wanted([fast], 2)
    assert not benchmark.wanted([fast, fast], 2)
    assert benchmark.wanted([fast, slow], 2)
    assert not benchmark.wanted([slow, slow], 2)  # as fast as each other: nothing says that it was ever faster
    assert not benchmark.wanted([slow, fast, slowed, fast], 2)
    assert benchmark.wanted([slowed] * 5, 2) and not benchmark.wanted([slowed] * 6, 2)


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=1, max_size=9), st.integers(1, 4))
def test_the_calmest_repeats_drift_no_more_than_all(times: list[tuple[float, float]], count: int) -> None:
    repeats = [reference(*pair) for pair in times]
    calm = benchmark.calmest(repeats, count)
    assert len(calm) == min(count, len(repeats))
    assert benchmark.drift(calm) <= benchmark.drift(repeats)


def test_a_batch_has_its_median_time_and_the_rate_of_all_its_queries() -> None:
    row = benchmark.swept(4, [10.0, 10.0, 20.0, 40.0])
    assert (row["latency_ms"], row["inferences_per_s"], row["queries"]) == (15, 200, 4)
    assert row.keys() == benchmark.not_swept(4, "out of memory").keys()
