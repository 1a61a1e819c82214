"""Logs and files of trtexec, with logs of real boards."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.runtimes.tensorrt.measurement import failure, read_run
from remote.runtimes.tensorrt.trtexec import exports, log

FIXTURES = Path(__file__).parents[3] / "fixtures/trtexec"
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
    parsed = log.parse(LOGS[name])
    assert (parsed.version, parsed.result, parsed.throughput_qps) == (version, "PASSED", qps)
    assert parsed.summary["Latency"]["median"] == median
    assert parsed.summary["Latency"]["percentile(99%)"] == p99
    assert set(parsed.summary) >= {"Latency", "Enqueue Time", "H2D Latency", "GPU Compute Time", "D2H Latency"}
    assert ("End-to-End Host Latency" in parsed.summary) == (version < (8, 4))
    assert (parsed.reason, parsed.out_of_memory, failure(parsed, 0)) == (None, False, None)


def test_a_line_for_each_statistic_is_read_like_one_line_for_all() -> None:
    """The log of a TensorRT 7 with the options of 7.1, from KhairulIzwan/data_statistics."""
    parsed = log.parse(LOGS["trt7.1"])
    assert (parsed.version, parsed.result, parsed.throughput_qps, parsed.queries) == (None, "PASSED", 18.0758, (56, 3.09807))
    latency = {"min": 55.1414, "max": 57.542, "mean": 55.3094, "median": 55.2737, "percentile(99%)": 57.542}
    assert parsed.summary["Latency"] == latency
    assert parsed.summary["Enqueue Time"] == {"min": 3.87885, "max": 5.10864, "median": 4.06059}
    assert parsed.summary["GPU Compute Time"]["percentile(99%)"] == 57.4766
    assert (parsed.device, parsed.build_seconds, failure(parsed, 0)) == ({}, None, None)


def test_tensorrt_7_counts_no_query_of_an_onnx_network() -> None:
    info = "[05/09/2021-17:02:32] [I] "
    parsed = log.parse(f"{info}Timing trace has 0 queries over 3.16903 s\n{info}throughput: 0 qps")
    assert (parsed.queries, parsed.throughput_qps) == ((0, 3.16903), None)
    rows = [
        {"startComputeMs": 10.0 * i, "latencyMs": 9.0, "computeMs": 7.0, "inMs": 1.5, "outMs": 0.5, "endToEndMs": 12.0}
        for i in range(5)
    ]
    answer = {"code": 0, "timed_out": False, "hottest_c": None, "throttling": {}, "times": json.dumps(rows)}
    said = ["&&&& RUNNING TensorRT.trtexec # t", "Starting inference threads", "Timing trace has 0 queries over 3.5 s"]
    answer["lines"] = [[float(i), line] for i, line in enumerate([*said, "&&&& PASSED TensorRT.trtexec # t"])]
    for transfers, latency in ((False, 7.0), (True, 9.0)):
        run = read_run(answer, (7, 1, 3), 20, transfers)
        assert run.timed == (3, 3.5)
        np.testing.assert_array_equal(run.times.latency, [latency] * 3)
        np.testing.assert_array_equal(run.times.to_device, [1.5] * 3)
        assert (run.began, run.ended) == (1.02, 2.0)


def test_a_build_prints_the_gpu_and_its_time() -> None:
    parsed = log.parse(LOGS["trt8.2.1"])
    assert parsed.device["Selected Device"] == "NVIDIA Tegra X1"
    assert parsed.device["Compute Capability"] == "5.3"
    assert parsed.device["TensorRT version"] == "8.2.1"
    assert (parsed.build_seconds, parsed.queries) == (184.708, (35, 3.16419))
    assert "INT64" in parsed.warnings[0]


def test_lines_after_the_result_are_read_and_a_starved_gpu_is_reported() -> None:
    assert log.parse(LOGS["trt8.0.1"]).enqueue_bound
    assert log.parse(LOGS["trt10.x"]).enqueue_bound
    assert not log.parse(LOGS["trt10.3"]).enqueue_bound
    late = LOGS["trt10.3"] + "\n[05/13/2025-10:36:46] [E] [TRT] late\n"
    assert log.parse(late).errors == ("[TRT] late",)


@pytest.mark.parametrize(
    ("digits", "version"),
    [
        ("8201", (8, 2, 1)),
        ("8510", (8, 5, 10)),
        ("100300", (10, 3, 0)),
        ("101602", (10, 16, 2)),
        ("110000", (11, 0, 0)),
        ("7", None),
    ],
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
def test_every_failure_has_a_reason(lines: list[str], code: int, reason: str) -> None:
    assert reason in (failure(log.parse("\n".join(lines)), code) or "")


FAILURES = {path.stem: path.read_text() for path in sorted((FIXTURES / "failures").glob("*.log"))}
CAUSES = {
    "trt7.1.3_double": "[8] Assertion failed: convertOnnxWeights(initializer, &weights, ctx)",
    "trt7.2.2_pad": "[8] Assertion failed: inputs.at(1).is_weights()",
    "trt8.2.5_int8_weights": "[6] Invalid Node - Identity_0 onnx::QuantizeLinear_429: invalid weights type of Int8 "
    '(While parsing node number 0 [Identity -> "onnx::QuantizeLinear_491"])',
    "trt8.2_conv_groups": "[6] Invalid Node - Conv_36 [convolutionNode.cpp::computeOutputExtents::36] Error Code 4: "
    "Internal Error (Conv_36: group count must divide input channel count) "
    '(While parsing node number 36 [Conv -> "370"])',
    "trt8.4.1_pad": "[6] Invalid Node - Pad_13 [shuffleNode.cpp::symbolicExecute::392] Error Code 4: Internal Error "
    "(Reshape_3: IShuffleLayer applied to shape tensor must have 0 or 1 reshape dimensions: dimensions were [-1,2])",
    "trt8.6.1_scale": '[6] Assertion failed: scaleAllPositive && "Scale coefficients must all be positive" '
    '(While parsing node number 417 [QuantizeLinear -> "/model.9/cv2/conv/_weight_quantizer/QuantizeLinear_output_0"])',
    "trt10.3.0_tile": "[6] Invalid Node - /Tile ITensor::getDimensions: Error Code 4: Internal Error "
    "(/OneHot: an IIOneHotLayer cannot be used to compute a shape tensor) "
    '(While parsing node number 146 [Tile -> "/Tile_output_0"])',
    "trt10.3.0_convolution": "Error[2]: [convBaseBuilder.cpp::createConvolution::259] Error Code 2: Internal Error "
    "(Assertion isOpConsistent(convolution.get()) failed. Cask convolution isConsistent check failed.)",
    "trt10.x_squeeze": "[6] Invalid Node - If_0_else_branch__Inline_0__/Squeeze: ITensor::getDimensions: Error Code 4: "
    "Shape Error (squeeze index (1) must be less than length (0) of data.",
    "trt10.13.0_no_file": "Error[3]: In node -1 with name: and operator: (parseFromFile): INVALID_VALUE: Assertion failed: "
    "stat(onnxModelFile, &sb) == 0 && S_ISREG(sb.st_mode): Input file cannot be found, or is not a regular file: model.onnx",
    "trt10.0.1_foreign_engine": "Error[1]: [runtime.cpp::parsePlan::455] Error Code 1: Serialization",
    "trt10.3.0_options": "Unknown option: --workspace 2048",
}


@pytest.mark.parametrize("name", sorted(FAILURES))
def test_the_reason_of_a_failure_is_its_cause(name: str) -> None:
    reason = failure(log.parse(FAILURES[name]), 1) or ""
    assert reason.startswith(CAUSES[name])
    assert "End node" not in reason


@given(
    st.sampled_from(sorted(set(FAILURES) - {"trt10.3.0_options"})),
    st.sampled_from(["[I] Finish parsing", "[W] [TRT] ModelImporter.cpp:1: a warning", "[V] x"]),
    st.data(),
)
def test_lines_of_other_levels_between_do_not_hide_the_cause(name: str, other: str, data: st.DataObject) -> None:
    """All lines of a message come together; any lines may come between two messages."""
    lines = FAILURES[name].splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith(("[0", "&&&&", "ERROR"))]
    place = data.draw(st.sampled_from(starts))
    text = "\n".join([*lines[:place], f"[01/02/2024-00:00:00] {other}", *lines[place:]])
    assert log.parse(text).reason == log.parse(FAILURES[name]).reason


@given(st.sampled_from(sorted(FAILURES)), st.data())
def test_a_cut_log_of_a_failure_gives_the_best_reason_in_it(name: str, data: st.DataObject) -> None:
    lines = FAILURES[name].splitlines(keepends=True)
    text = "".join(lines[: data.draw(st.integers(0, len(lines)))])
    parsed = log.parse(text)
    if any(re.match(r"\[\d\d.*\[E\] |ERROR: |\[\d+\] ", line) for line in text.splitlines()):
        assert parsed.reason
        if any("While parsing node" in error for error in parsed.errors):
            assert "--- " not in parsed.reason
            assert not parsed.reason.startswith(("input:", "output:", "op_type:"))


@pytest.mark.parametrize(
    "line",
    [
        E + "[TRT] CUDA driver and library do not fit; a system reboot is required",
        "nvgpu: please reboot the board to recover the GPU",
    ],
)
def test_a_request_for_a_reboot_is_seen(line: str) -> None:
    text = "\n".join([E + "[TRT] CUDA error 999", line, E + "Engine set up failed"])
    assert "reboot" in (failure(log.parse(text), 1) or "")


def test_cuda_that_cannot_start_for_lack_of_memory_is_out_of_memory() -> None:
    words = (
        E + "[TRT] createInferBuilder: Error Code 6: API Usage Error (CUDA initialization failure with error: {}. Please)"
    )
    assert (failure(log.parse(words.format(2)), 1) or "").startswith("out of memory: ")
    assert (failure(log.parse(words.format(25)), 1) or "").startswith("[TRT] createInferBuilder")


@pytest.mark.parametrize("words", ["# /usr/src/tensorrt/bin/trtexec --help", "# ./trtexec --onnx=model.onnx"])
def test_the_banner_of_tensorrt_7_has_a_command_and_no_version(words: str) -> None:
    parsed = log.parse(f"&&&& RUNNING TensorRT.trtexec {words}\n&&&& FAILED TensorRT.trtexec {words}\n")
    assert (parsed.version, parsed.command, parsed.result) == (None, words[2:], "FAILED")


@given(st.sampled_from(sorted(LOGS)), st.data())
def test_a_cut_log_has_no_figure_that_the_whole_log_lacks(name: str, data: st.DataObject) -> None:
    text = LOGS[name]
    whole, cut = log.parse(text), log.parse(text[: text.rfind("\n", 0, data.draw(st.integers(0, len(text)))) + 1])
    assert cut.throughput_qps in (None, whole.throughput_qps)
    for line, statistics in cut.summary.items():
        # Where each statistic has a line of its own, some may be missing.
        missing = name == "trt7.1" and whole.summary[line].keys() - statistics.keys()
        assert statistics == {key: value for key, value in whole.summary[line].items() if key not in (missing or ())}
    assert cut.device.items() <= whole.device.items()


@given(st.text())
def test_any_text_is_a_log(text: str) -> None:
    parsed = log.parse(text)
    assert failure(parsed, 1)


@given(st.text("abcdefghij", min_size=1), NUMBERS, st.text("abcdefghij", min_size=1))
def test_new_statistics_and_lines_are_read(line: str, value: float, statistic: str) -> None:
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
def test_times_of_the_warm_up_are_removed_if_trtexec_writes_them(count: int, warmup: int) -> None:
    text = json.dumps(rows(count))
    assert len(exports.parse_times(text, (8, 5, 2), warmup, False).latency) == count
    late = [row for row in rows(count) if row["startComputeMs"] >= warmup]
    if not late:
        with pytest.raises(exports.ExportError, match="no query"):
            exports.parse_times(text, (8, 4, 1), warmup, False)
        return
    times = exports.parse_times(text, (8, 4, 1), warmup, False)
    np.testing.assert_array_equal(times.latency, [row["latencyMs"] for row in late])
    np.testing.assert_array_equal(times.compute, [row["computeMs"] for row in late])


PROFILE = """[
  { "count" : 41400 }
, { "name" : "/conv1/Conv + /act1/Relu", "timeMs" : 1160.7, "averageMs" : 0.0280382, "medianMs" : 0.027872, "percentage" : 9}
, { "name" : "/fc/MatMul", "timeMs" : 386.9, "averageMs" : 0.0093, "percentage" : 25 }
]
"""


def test_a_profile_has_the_median_of_each_layer_or_its_mean_where_there_is_none() -> None:
    layers = [(layer["name"], layer["ms"]) for layer in exports.parse_profile(PROFILE)]
    assert layers == [("/conv1/Conv + /act1/Relu", 0.02787), ("/fc/MatMul", 0.0093)]


@pytest.mark.parametrize(
    "text", ["", PROFILE[:200], '[{"count": 3}]', '[{"name": "a"}]', '[{"name": "a", "medianMs": "1"}]']
)
def test_a_damaged_profile_is_refused(text: str) -> None:
    with pytest.raises(exports.ExportError):
        exports.parse_profile(text)


@given(st.integers(0, 900))
def test_cut_times_are_refused(length: int) -> None:
    text = json.dumps(rows(6), indent=1)
    if length < len(text):
        with pytest.raises(exports.ExportError):
            exports.parse_times(text[:length], (10, 3, 0), 0, False)


@pytest.mark.parametrize("value", [None, "9", True, float("nan"), float("inf"), 0, -1])
def test_values_that_are_no_times_are_refused(value: object) -> None:
    with pytest.raises(exports.ExportError):
        exports.parse_times(json.dumps([{**rows(1)[0], "latencyMs": value}]), (10, 3, 0), 0, False)
