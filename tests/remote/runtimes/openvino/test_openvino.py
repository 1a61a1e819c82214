"""OpenVINO's own ways: precisions, what computes in integers, and its part of a bundle."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from onnx import TensorProto, helper, numpy_helper

from compress.precision import quantization
from compress.precision.quantization import Int8
from remote.errors import EngineFailed
from remote.python.runtime import PythonRuntime
from remote.runtimes.openvino.bundle import SHIPPED
from remote.runtimes.openvino.runtime import opened
from remote.transport.local import LocalTransport
from tests.support.onnx_files import pairs

RNG = np.random.default_rng(0)
INPUTS = [RNG.random((rows, 1, 24, 16), np.float32) for rows in (1, 3)]
CAPABILITIES = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@pytest.fixture(scope="module")
def runtime() -> Iterator[PythonRuntime]:
    with LocalTransport() as link:
        yield opened(link, {})


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two convolutions and the mean of what they give: input [batch, 1, 24, 16] -> signature [batch, 32, 1, 1]."""
    weights = {
        "one": RNG.standard_normal((32, 1, 3, 3)).astype(np.float32),
        "two": RNG.standard_normal((32, 32, 3, 3)).astype(np.float32) / 8,
    }
    nodes = [
        helper.make_node("Conv", ["input", "one"], ["a"], name="first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "two"], ["c"], name="second", pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["c"], ["signature"]),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 1, 24, 16])],
        [helper.make_tensor_value_info("signature", TensorProto.FLOAT, ["batch", 32, 1, 1])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    path = tmp_path_factory.mktemp("network") / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def expected(network: Path) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(network), providers=["CPUExecutionProvider"])
    return [session.run(None, {"input": given})[0] for given in INPUTS]


def error(computed: list[np.ndarray], exact: list[np.ndarray]) -> float:
    """The greatest difference as a share of the greatest value."""
    return max(float(np.abs(one - other).max() / np.abs(other).max()) for one, other in zip(computed, exact, strict=True))


@pytest.mark.parametrize(("precision", "capability", "least", "most"), [
    ("fp32", "FP32", 0, 1e-5), ("bf16", "BF16", 1e-5, 2e-2), ("fp16", "FP16", 1e-6, 2e-3),
])  # fmt: skip
def test_an_engine_computes_in_the_precision_that_was_asked_for_or_there_is_none(
    runtime: PythonRuntime, network: Path, tmp_path: Path, precision: str, capability: str, least: float, most: float
) -> None:
    """fp32 stays fp32 on processors where OpenVINO would take bf16 by itself."""
    described = runtime.build(network, tmp_path, precision, 1)
    if capability not in CAPABILITIES:
        assert described["status"] == "skipped"
        assert f"no instructions for {precision}" in described["reason"]
        with pytest.raises(EngineFailed, match="no instructions"):
            runtime.check(tmp_path, network)
        return
    assert (described["status"], described["engine"]) == ("ok", "engine.blob")
    assert least <= error(runtime.run(tmp_path, INPUTS, 1), expected(network)) <= most


def test_convolutions_of_an_int8_network_compute_in_integers(runtime: PythonRuntime, network: Path, tmp_path: Path) -> None:
    quantised = tmp_path / "openvino.onnx"
    with quantization.calibrated(network, INPUTS[:1], "minmax", True) as calibrated:
        calibrated.write(quantised, Int8("uint8", 7, "weights"))
    assert runtime.build(quantised, tmp_path, "int8", 1)["status"] == "ok"
    assert 1e-4 < error(runtime.run(tmp_path, INPUTS, 1), expected(network)) < 0.05
    _, _, compiled = (tmp_path / "engine.blob").read_bytes().partition(b"\n")
    graph = openvino.Core().import_model(compiled, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).get_runtime_model()
    facts = [node.get_rt_info() for node in graph.get_ops()]
    types = [str(of["runtimePrecision"].value) for of in facts if of["layerType"].value == "Convolution"]
    assert len(types) == 2
    assert {kind.lower() for kind in types} <= {"u8", "i8"}


def shipped() -> ModuleType:
    """The loader as a bundle has it."""
    specification = importlib.util.spec_from_file_location("shipped", SHIPPED.loader)
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_a_bundle_runs_the_engine_as_it_was_measured(runtime: PythonRuntime, network: Path, tmp_path: Path) -> None:
    precision = "bf16" if "BF16" in CAPABILITIES else "fp32"
    assert runtime.build(network, tmp_path, precision, 1)["status"] == "ok"
    version = runtime.facts()["runtime_version"]
    answer = shipped().opened(tmp_path / "engine.blob", version, 1)
    for one, other in zip(map(answer, INPUTS), runtime.run(tmp_path, INPUTS, 1), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match=f"here is OpenVINO {version}, and the engine was built by 1.0"):
        shipped().opened(tmp_path / "engine.blob", "1.0", 1)


def test_an_operator_that_refuses_its_inputs_ends_a_run(runtime: PythonRuntime, network: Path, tmp_path: Path) -> None:
    """OpenVINO itself goes on with one thread, and gives as many rows as the network's constant has."""
    assert runtime.build(pairs(tmp_path / "pairs.onnx"), tmp_path, "fp32", 1)["status"] == "ok"
    with pytest.raises(EngineFailed, match=r"2 outputs for 4 inputs|Add node"):
        runtime.run(tmp_path, [np.ones((4, 4), np.float32)], 1)
