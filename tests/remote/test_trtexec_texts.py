"""What trtexec prints and writes, with logs of real boards."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.jetson.measurement import failure
from remote.trtexec import exports, log

FIXTURES = Path(__file__).parents[1] / "fixtures/trtexec"
LOGS = {path.name.partition("_")[0]: path.read_text() for path in sorted(FIXTURES.glob("*.log"))}
NUMBERS = st.floats(1e-3, 1e5).map(lambda value: float(f"{value:g}"))


@pytest.mark.parametrize(
    ("name", "version", "qps", "median", "p99"),
    [
        ("trt8.0.1", (8, 0, 1), 24.5583, 40.6337, 40.8591),
        ("trt8.2.1", (8, 2, 1), 11.0613, 90.3035, 91.492),
        ("trt8.5.2", (8, 5, 2), 97.8649, 10.7972, 10.9744),
        ("trt10.3", (10, 3, 0), 318.007, 3.14062, 3.15039),
    ],
)
def test_the_summary_of_every_version_is_read(name: str, version: tuple, qps: float, median: float, p99: float) -> None:
    found = log.parse(LOGS[name])
    assert (found.version, found.result, found.throughput_qps) == (version, "PASSED", qps)
    assert found.summary["Latency"]["median"] == median
    assert found.summary["Latency"]["percentile(99%)"] == p99
    assert set(found.summary) >= {"Latency", "Enqueue Time", "H2D Latency", "GPU Compute Time", "D2H Latency"}
    assert ("End-to-End Host Latency" in found.summary) == (version < (8, 4))
    assert (found.reason, found.out_of_memory, failure(found, 0)) == (None, False, None)


def test_a_build_tells_the_gpu_and_how_long_it_took() -> None:
    found = log.parse(LOGS["trt8.2.1"])
    assert found.device["Selected Device"] == "NVIDIA Tegra X1"
    assert found.device["Compute Capability"] == "5.3"
    assert found.device["TensorRT version"] == "8.2.1"
    assert (found.build_seconds, found.queries) == (184.708, (35, 3.16419))
    assert "INT64" in found.warnings[0]


def test_lines_after_the_result_are_read_and_a_starved_gpu_is_told() -> None:
    assert log.parse(LOGS["trt8.0.1"]).enqueue_bound
    assert log.parse(LOGS["trt10.x"]).enqueue_bound
    assert not log.parse(LOGS["trt10.3"]).enqueue_bound
    late = LOGS["trt10.3"] + "\n[05/13/2025-10:36:46] [E] [TRT] late\n"
    assert log.parse(late).errors == ("[TRT] late",)


@pytest.mark.parametrize(
    ("digits", "version"),
    [("8201", (8, 2, 1)), ("8510", (8, 5, 10)), ("100300", (10, 3, 0)), ("101602", (10, 16, 2)), ("7", None)],
)
def test_a_banners_number_is_a_version(digits: str, version: tuple | None) -> None:
    assert log.parse_version(digits) == version
    build = f"&&&& PASSED TensorRT.trtexec [TensorRT v{digits}] [b10] # trtexec --help"
    assert (log.parse(build).version, log.parse(build).build) == (version, 10)


E = "[05/13/2025-10:36:46] [E] "


@pytest.mark.parametrize(
    ("lines", "code", "reason"),
    [
        (
            [E + "[TRT] 2: OutOfMemory (no further information)", E + "Engine could not be created"],
            1,
            "out of memory: [TRT] 2: OutO",
        ),
        ([E + "Cuda failure: out of memory"], 1, "out of memory: Cuda failure"),
        (["terminate called after throwing an instance of 'std::bad_alloc'"], -6, "out of memory"),
        ([E + "Engine set up failed", E + "[TRT] 10: Could not find any implementation"], 1, "[TRT] 10: Could not find"),
        ([E + "Engine set up failed"], 1, "Engine set up failed"),
        ([], -11, "trtexec crashed (signal 11)"),
        ([E + "[TRT] 1: CUDA error 700"], -6, "trtexec crashed (signal 6): [TRT] 1: CUDA error 700"),
        ([], -9, "killed (signal 9), most likely because memory ran out"),
        ([], 1, "status 1 and no reason"),
        (["&&&& FAILED TensorRT.trtexec [TensorRT v8201] # trtexec"], 1, "only that it failed"),
        (["&&&& FAILED TensorRT.trtexec [TensorRT v8201] # trtexec"], 0, "only that it failed"),
        ([], 0, "status 0 and no reason"),
    ],
)
def test_every_end_but_a_good_one_has_a_reason(lines: list[str], code: int, reason: str) -> None:
    assert reason in (failure(log.parse("\n".join(lines)), code) or "")


@given(st.sampled_from(sorted(LOGS)), st.data())
def test_a_log_that_is_cut_off_has_no_figure_that_the_whole_one_has_not(name: str, data: st.DataObject) -> None:
    text = LOGS[name]
    whole, cut = log.parse(text), log.parse(text[: text.rfind("\n", 0, data.draw(st.integers(0, len(text)))) + 1])
    assert cut.throughput_qps in (None, whole.throughput_qps)
    for line, statistics in cut.summary.items():
        assert statistics == whole.summary[line]
    assert cut.device.items() <= whole.device.items()


@given(st.text())
def test_any_text_is_a_log(text: str) -> None:
    found = log.parse(text)
    assert failure(found, 1)


@given(st.text("abcdefghij", min_size=1), NUMBERS, st.text("abcdefghij", min_size=1))
def test_statistics_and_lines_that_are_new_survive(line: str, value: float, statistic: str) -> None:
    text = (
        f"[05/13/2025-10:36:46] [I] A {line} Time: min = {value:g} ms, {statistic} = {value:g} ms, percentile(99.9%) = 7 ms"
    )
    expected = {"min": value, statistic: value, "percentile(99.9%)": 7.0}
    assert log.parse(text).summary == {f"A {line} Time": expected}


def rows(count: int, start: float = 0.0) -> list[dict[str, float]]:
    return [
        {
            "startComputeMs": start + 10 * i,
            "latencyMs": 9.0 + i,
            "computeMs": 7.0 + i,
            "h2dMs": 1.0,
            "d2hMs": 1.0,
            "endToEndMs": 9.5,
        }
        for i in range(count)
    ]


@given(st.integers(1, 30), st.integers(0, 300))
def test_the_warm_up_is_left_out_where_trtexec_leaves_it_in(count: int, warmup: int) -> None:
    text = json.dumps(rows(count))
    assert len(exports.parse_times(text, (8, 5, 2), warmup).latency) == count
    late = [row for row in rows(count) if row["startComputeMs"] >= warmup]
    if not late:
        with pytest.raises(exports.ExportError, match="no query"):
            exports.parse_times(text, (8, 4, 1), warmup)
        return
    found = exports.parse_times(text, (8, 4, 1), warmup)
    np.testing.assert_array_equal(found.latency, [row["latencyMs"] for row in late])
    np.testing.assert_array_equal(found.compute, [row["computeMs"] for row in late])


@given(st.integers(0, 900))
def test_times_that_are_cut_off_are_refused(length: int) -> None:
    text = json.dumps(rows(6), indent=1)
    if length < len(text):
        with pytest.raises(exports.ExportError):
            exports.parse_times(text[:length], (10, 3, 0), 0)


@pytest.mark.parametrize("value", [None, "9", True, float("nan"), float("inf"), 0, -1])
def test_times_that_are_no_times_are_refused(value: object) -> None:
    with pytest.raises(exports.ExportError):
        exports.parse_times(json.dumps([{**rows(1)[0], "latencyMs": value}]), (10, 3, 0), 0)
