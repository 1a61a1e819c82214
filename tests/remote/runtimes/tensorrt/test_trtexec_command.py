"""Command lines of trtexec by version, and the checks of a network before it is sent to a board."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from remote.runtimes.tensorrt.plan import Impossible, plan
from remote.runtimes.tensorrt.trtexec import command, network
from remote.runtimes.tensorrt.trtexec.command import BuildOptions, Range, RunOptions
from tests.support.onnx_files import in_half, linear
from tests.support.refused import biased

VERSIONS = [(7, 1, 3), (7, 2, 3), (8, 0, 1), (8, 2, 1), (8, 4, 1), (8, 5, 2), (8, 6, 2), (10, 3, 0), (10, 16, 2), (11, 4, 1)]
NANO = {
    "gpu": "Tegra X1", "compute_capability": "5.3", "board": "NVIDIA Jetson Nano Developer Kit", "runtime_version": "8.2.1",
}  # fmt: skip
XAVIER = {"gpu": "Xavier", "compute_capability": "7.2", "board": "NVIDIA Jetson AGX Xavier", "runtime_version": "8.5.2"}
ORIN_NANO = {
    "gpu": "Orin", "compute_capability": "8.7", "board": "NVIDIA Jetson Orin Nano Developer Kit",
    "runtime_version": "10.3.0",
}  # fmt: skip
XAVIER_7 = {**XAVIER, "runtime_version": "7.1.3"}
ORIN_11 = {**ORIN_NANO, "board": "NVIDIA Jetson AGX Orin Developer Kit", "runtime_version": "11.3.0.5"}


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_gets_the_options_that_it_knows(version: tuple[int, int, int]) -> None:
    words = command.build("/t", version, "m.onnx", "m.plan", BuildOptions("fp16", workspace_mib=256))
    assert words[:3] == ["/t", "--onnx=m.onnx", "--saveEngine=m.plan"]
    assert ("--skipInference" in words, "--buildOnly" in words) == (version >= (8, 6), version < (8, 6))
    assert ("--workspace=256" in words, "--memPoolSize=workspace:256" in words) == (version < (8, 4), version >= (8, 4))


@pytest.mark.parametrize("version", [(7, 0, 0), (12, 0, 0)])
def test_versions_with_other_command_lines_are_refused(version: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"versions 7.1 to 11.x"):
        command.build("/t", version, "m", "e", BuildOptions())
    with pytest.raises(ValueError, match=r"versions 7.1 to 11.x"):
        command.run("/t", version, "e", RunOptions())


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "best"])
@pytest.mark.parametrize("version", [(7, 1, 3), (8, 6, 2), (10, 3, 0)])
def test_up_to_10_a_precision_is_an_option_of_the_build(version: tuple[int, int, int], precision: str) -> None:
    flags = set(command.build_flags(version, BuildOptions(precision)))
    wanted = {"fp32": {"--noTF32"}, "fp16": {"--fp16"}, "int8": {"--int8", "--fp16"}, "best": {"--best"}}[precision]
    assert flags == wanted | ({"--explicitBatch"} if version < (8, 0) else set())


def test_tensorrt_7_has_no_timing_cache_and_cannot_leave_copies_out() -> None:
    options = BuildOptions("fp16", 64, timing_cache="t.cache", shapes={"x": Range((1, 4), (2, 4), (8, 4))})
    assert command.build("/t", (7, 1, 3), "m.onnx", "m.plan", options) == [
        "/t", "--onnx=m.onnx", "--saveEngine=m.plan", "--fp16", "--explicitBatch", "--workspace=64", "--minShapes=x:1x4",
        "--optShapes=x:2x4", "--maxShapes=x:8x4", "--buildOnly",
    ]  # fmt: skip
    for transfers in (False, True):
        assert command.run("/t", (7, 1, 3), "m.plan", RunOptions(warmup_ms=1, transfers=transfers, times="t.json")) == [
            "/t", "--loadEngine=m.plan", "--explicitBatch", "--warmUp=1", "--duration=0", "--iterations=1", "--avgRuns=100",
            "--useSpinWait", "--exportTimes=t.json",
        ]  # fmt: skip
    assert "--noDataTransfers" in command.run("/t", (7, 2, 3), "m.plan", RunOptions())


def test_tensorrt_11_takes_the_precision_of_the_file_and_gets_its_changed_defaults() -> None:
    for precision, flags in (("fp32", ["--noTF32"]), ("fp16", []), ("int8", [])):
        assert command.build("/t", (11, 4, 1), "m.onnx", "m.plan", BuildOptions(precision)) == [
            "/t", "--onnx=m.onnx", "--saveEngine=m.plan", *flags, "--skipInference",
        ]  # fmt: skip
    measured = command.run("/t", (11, 4, 1), "m.plan", RunOptions())
    assert {"--noCudaGraph", "--useSpinWait"} <= set(measured)
    assert not {"--noDataTransfers", "--includeDataTransfers"} & set(measured)
    assert "--includeDataTransfers" in command.run("/t", (11, 4, 1), "m.plan", RunOptions(transfers=True))
    with pytest.raises(ValueError, match=r"TensorRT 11.4.1 knows no best: .* take fp32, fp16 or int8"):
        command.build("/t", (11, 4, 1), "m.onnx", "m.plan", BuildOptions("best"))
    with pytest.raises(ValueError, match=r"TensorRT 11.4.1 knows no calibration cache"):
        command.build("/t", (11, 4, 1), "m.onnx", "m.plan", BuildOptions("int8", calibration="c.cache"))


@pytest.mark.parametrize(
    ("version", "graph", "flags"),
    [
        ((7, 1, 3), True, {"--useCudaGraph"}),
        ((10, 3, 0), True, {"--useCudaGraph"}),
        ((10, 3, 0), False, set()),
        ((11, 4, 1), True, set()),
        ((11, 4, 1), False, {"--noCudaGraph"}),
    ],
)
def test_a_cuda_graph_is_an_option_or_the_default_by_version(
    version: tuple[int, int, int], graph: bool, flags: set[str]
) -> None:
    words = command.run("/t", version, "m.plan", RunOptions(graph=graph))
    assert {word for word in words if word.endswith("CudaGraph")} == flags


@pytest.mark.parametrize(
    ("precision", "flags"),
    [("fp32", {"--noTF32"}), ("fp16", {"--fp16"}), ("int8", {"--int8", "--fp16"}), ("best", {"--best"})],
)
def test_precisions_are_flags(precision: str, flags: set[str]) -> None:
    assert set(command.build_flags((10, 3, 0), BuildOptions(precision))) == flags


def test_a_build_names_all_that_it_uses() -> None:
    options = BuildOptions(
        "int8", 512, dla_core=1, calibration="c.cache", timing_cache="t.cache",
        shapes={"input": Range((1, 1, 64), (1, 30, 64), (1, 240, 64))},
    )  # fmt: skip
    assert command.build("/t", (8, 5, 2), "m.onnx", "m.plan", options) == [
        "/t", "--onnx=m.onnx", "--saveEngine=m.plan", "--int8", "--fp16", "--memPoolSize=workspace:512", "--useDLACore=1",
        "--allowGPUFallback", "--minShapes=input:1x1x64", "--optShapes=input:1x30x64", "--maxShapes=input:1x240x64",
        "--calib=c.cache", "--timingCacheFile=t.cache", "--buildOnly",
    ]  # fmt: skip
    assert not {"c.cache", "t.cache", "m.onnx"} & set("".join(command.build_flags((8, 5, 2), options)))


def test_a_run_names_all_options_that_change_the_measurement() -> None:
    options = RunOptions(
        {"input": (1, 30, 64)}, 2000, 10, 1000, inputs={"input": "i.bin"}, times="t.json", outputs="o.json", dla_core=0
    )
    assert command.run("/t", (10, 3, 0), "m.plan", options) == [
        "/t", "--loadEngine=m.plan", "--shapes=input:1x30x64", "--loadInputs=input:i.bin", "--warmUp=2000", "--duration=10",
        "--iterations=1000", "--avgRuns=100", "--useSpinWait", "--noDataTransfers", "--useDLACore=0", "--exportTimes=t.json",
        "--exportOutput=o.json",
    ]  # fmt: skip
    assert "--noDataTransfers" not in command.run("/t", (10, 3, 0), "m.plan", RunOptions(transfers=True))


@pytest.mark.parametrize(
    "wrong", [{"precision": "fp8"}, {"precision": "fp16", "calibration": "c"}, {"precision": "fp32", "dla_core": 0}]
)
def test_options_that_contradict_each_other_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=r"precision|calibration|DLA"):
        BuildOptions(**wrong)


@given(st.text(min_size=1), st.text(min_size=1), st.sampled_from(VERSIONS))
def test_a_file_of_any_name_stays_one_word(onnx_name: str, engine: str, version: tuple[int, int, int]) -> None:
    words = command.build("/t", version, onnx_name, engine, BuildOptions("fp32"))
    assert f"--onnx={onnx_name}" in words
    assert f"--saveEngine={engine}" in words
    assert len(words) == 5 + (version < (8, 0))


def quantized(path: Path, kind: int) -> Path:
    """x -> QuantizeLinear -> DequantizeLinear -> y with one kind of zero points."""
    zero = numpy_helper.from_array(np.zeros((), np.uint8 if kind == TensorProto.UINT8 else np.int8), "zero")
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
        ],
        "quantized",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(np.ones((), np.float32), "scale"), zero],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_a_network_has_its_inputs_and_its_quantisation(tmp_path: Path) -> None:
    plain = network.read(linear(tmp_path / "plain.onnx"))
    assert (plain.inputs, plain.output) == ({"x": (None, 4)}, "y")
    assert (plain.quantized, plain.unsigned) == (False, False)
    for kind, unsigned in ((TensorProto.UINT8, True), (TensorProto.INT8, False)):
        described = network.read(quantized(tmp_path / "q.onnx", kind))
        assert (described.quantized, described.unsigned) == (True, unsigned)
    (tmp_path / "junk.onnx").write_bytes(b"\xff\xfejunk")
    with pytest.raises(ValueError, match=r"junk\.onnx"):
        network.read(tmp_path / "junk.onnx")


@pytest.mark.parametrize(
    ("facts", "precision", "options", "status", "reason"),
    [
        (NANO, "int8", {}, "skipped", "no INT8 hardware"),
        (NANO, "fp16", {"dla_core": 0}, "skipped", "no DLA"),
        (ORIN_NANO, "fp16", {"dla_core": 0}, "skipped", "no DLA"),
        (XAVIER, "fp32", {"dla_core": 0}, "skipped", "fp16 and int8 only"),
        (XAVIER, "int8", {}, "failed", "made-up ranges"),
        (XAVIER_7, "int8", {}, "skipped", "TensorRT 7.1.3 takes no network with Q/DQ pairs; take fp16, or update"),
        (ORIN_11, "fp16", {"dla_core": 0}, "skipped", "TensorRT 11.3.0.5 has no DLA"),
        (ORIN_11, "fp16", {}, "failed", "not in fp16, and TensorRT 11.3.0.5 computes in the network's own types"),
        (ORIN_11, "int8", {}, "failed", "no Q/DQ pairs, and TensorRT 11.3.0.5 calibrates none"),
        (ORIN_11, "best", {}, "skipped", "TensorRT 11.3.0.5 does not choose precisions"),
    ],
)
def test_a_network_that_a_board_cannot_run_is_refused_before_the_build(
    tmp_path: Path, facts: dict, precision: str, options: dict, status: str, reason: str
) -> None:
    file = linear(tmp_path / "m.onnx")
    with pytest.raises(Impossible, match=reason) as raised:
        plan(file, network.read(file), facts, precision, options, (2, 4))
    assert raised.value.status == status


def test_int8_needs_signed_values_or_a_calibration_cache(tmp_path: Path) -> None:
    file = quantized(tmp_path / "q.onnx", TensorProto.UINT8)
    with pytest.raises(Impossible, match="activations: auto"):
        plan(file, network.read(file), XAVIER, "int8", {}, None)
    file = quantized(tmp_path / "q.onnx", TensorProto.INT8)
    assert plan(file, network.read(file), XAVIER, "int8", {}, None).calibration is None
    file = linear(tmp_path / "m.onnx")
    (tmp_path / "calibration.cache").write_text("TRT-8502-EntropyCalibration2\nx: 3c008912\n")
    assert plan(file, network.read(file), XAVIER, "int8", {}, (2, 4)).calibration == str(tmp_path / "calibration.cache")


def test_best_has_ranges_for_int8_if_the_gpu_has_int8(tmp_path: Path) -> None:
    file = linear(tmp_path / "m.onnx")
    with pytest.raises(Impossible, match="made-up ranges"):
        plan(file, network.read(file), XAVIER, "best", {}, (2, 4))
    without = plan(file, network.read(file), NANO, "best", {}, (2, 4))
    assert (without.precision, without.calibration) == ("fp16", None)  # TensorRT's mix of fp32 and fp16
    (tmp_path / "calibration.cache").write_text("TRT-100300-EntropyCalibration2\nx: 3c008912\n")
    options = plan(file, network.read(file), XAVIER, "best", {}, (2, 4))
    assert (options.precision, options.calibration) == ("best", str(tmp_path / "calibration.cache"))


@pytest.mark.parametrize(
    ("what", "version", "reason"),
    [("INT32", "8.2.1", "biases in INT32"), ("INT32", "10.3.0", "biases in INT32"), ("INT8", "8.5.2", "weights in INT8"),
     ("INT8", "10.3.0", None)],
)  # fmt: skip
def test_integer_constants_are_refused_by_the_rules_of_the_version(
    tmp_path: Path, what: str, version: str, reason: str | None
) -> None:
    values = np.ones(4, np.int32 if what == "INT32" else np.int8)
    nodes, constants = biased(values)
    graph = helper.make_graph(
        nodes,
        "biased",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    file = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7), file)
    facts = {**XAVIER, "runtime_version": version}
    assert network.read(file).integer_constants == {what}
    if reason is None:
        plan(file, network.read(file), facts, "int8", {}, None)
    else:
        with pytest.raises(Impossible, match=rf"{reason}.*tensorrt\.onnx"):
            plan(file, network.read(file), facts, "int8", {}, None)


def test_tensorrt_11_takes_for_each_precision_the_file_that_is_in_it(tmp_path: Path) -> None:
    plain, half = linear(tmp_path / "m.onnx"), tmp_path / "half.onnx"
    in_half(plain, half)
    pairs = quantized(tmp_path / "q.onnx", TensorProto.INT8)
    files = {"fp32": plain, "fp16": half, "int8": pairs}
    for precision in files:
        for kind, file in files.items():
            if kind == precision:
                assert plan(file, network.read(file), ORIN_11, precision, {}, (2, 4)).precision == precision
            else:
                with pytest.raises(Impossible, match=r"TensorRT 11.3.0.5 .*tensorrt\.onnx") as raised:
                    plan(file, network.read(file), ORIN_11, precision, {}, (2, 4))
                assert raised.value.status == "failed"
    again = {**ORIN_11, "runtime_version": "11.4.1.1"}
    assert plan(half, network.read(half), again, "fp16", {"dla_core": 0}, (2, 4)).dla_core == 0


def test_tensorrt_7_takes_pairs_in_no_precision(tmp_path: Path) -> None:
    file = quantized(tmp_path / "q.onnx", TensorProto.INT8)
    for precision in ("fp16", "int8", "best"):
        with pytest.raises(Impossible, match=r"takes no network with Q/DQ pairs") as raised:
            plan(file, network.read(file), XAVIER_7, precision, {}, None)
        assert raised.value.status == "skipped"


def test_a_zero_point_other_than_0_is_refused(tmp_path: Path) -> None:
    file = quantized(tmp_path / "q.onnx", TensorProto.INT8)
    model = onnx.load(file)
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.int8(3), "zero"))
    onnx.save(model, file)
    for version in ("8.0.1", "8.6.2", "10.3.0"):
        with pytest.raises(Impossible, match=r"zero points other than 0 .*activations: auto"):
            plan(file, network.read(file), {**XAVIER, "runtime_version": version}, "int8", {}, None)


def test_an_operator_that_the_boards_tensorrt_lacks_is_refused_before_the_build(tmp_path: Path) -> None:
    file = linear(tmp_path / "m.onnx", op="Einsum")
    with pytest.raises(Impossible, match=r"Einsum, which TensorRT has from 8.2 on, and this is TensorRT 8.0.1") as raised:
        plan(file, network.read(file), {**NANO, "runtime_version": "8.0.1"}, "fp32", {}, (2, 4))
    assert raised.value.status == "failed"


def test_free_axes_get_a_range_around_the_shape_that_is_measured(tmp_path: Path) -> None:
    file = linear(tmp_path / "m.onnx")
    options = plan(file, network.read(file), NANO, "fp16", {}, (2, 4), 8)
    assert options.shapes == {"x": Range((1, 4), (2, 4), (8, 4))}
    free = replace(network.read(file), inputs={"x": (1, None, 4)})
    assert plan(file, free, NANO, "fp16", {}, (1, 30, 4)).shapes == {"x": Range((1, 1, 4), (1, 30, 4), (1, 240, 4))}
    with pytest.raises(Impossible, match="free axes"):
        plan(file, network.read(file), NANO, "fp16", {}, None)
