"""ONNX Runtime's engine is kept in the faster one of two memory layouts."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import pytest
from onnx import TensorProto, helper, numpy_helper

from remote.runtimes.onnxruntime import onboard


def lasting(seconds: float) -> Callable[[], None]:
    return lambda: time.sleep(seconds)


def convolutions(path: Path, channels: int) -> Path:
    """A network of two convolutions with so many filters, which takes any number of images [n, 1, 16, 16]."""
    rng = np.random.default_rng(0)
    kernels = {
        "first": rng.standard_normal((channels, 1, 3, 3)).astype(np.float32),
        "second": rng.standard_normal((channels, channels, 3, 3)).astype(np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "first"], ["between"], pads=[1, 1, 1, 1]),
            helper.make_node("Conv", ["between", "second"], ["y"], pads=[1, 1, 1, 1]),
        ],
        "convolutions",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", channels, 16, 16])],
        [numpy_helper.from_array(kernel, name) for name, kernel in kernels.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.mark.parametrize(("seconds", "position"), [((0.03, 0.002), 1), ((0.002, 0.03), 0)])
def test_the_faster_one_wins(seconds: tuple[float, float], position: int) -> None:
    assert onboard.faster([lasting(part) for part in seconds]) == position


def test_a_network_that_cannot_run_keeps_the_first_layout() -> None:
    def broken() -> None:
        raise RuntimeError("no kernel")

    assert onboard.faster([broken, lasting(0)]) == 0
    assert onboard.faster([lasting(0), broken]) == 0


@pytest.mark.parametrize("kept", [0, 1])
@pytest.mark.parametrize("channels", [4, 32])
def test_either_layout_is_the_network(tmp_path: Path, channels: int, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network, engine = convolutions(tmp_path / "model.onnx", channels), tmp_path / "engine.onnx"
    monkeypatch.setattr(onboard, "faster", lambda queries: kept)
    assert onboard.build(network, engine, "fp32", 1, {}) is None
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", "engine.onnx"}
    blocks = any(node.domain.endswith("nchwc") for node in onnx.load(engine).graph.node)
    assert not blocks or kept == 0  # not every processor has kernels for blocks
    images = np.random.default_rng(1).random((2, 1, 16, 16), np.float32)
    expected = onnx.reference.ReferenceEvaluator(str(network)).run(None, {"x": images})[0]
    np.testing.assert_allclose(onboard.load(engine, 1, {})(images), expected, rtol=1e-4, atol=1e-4)
