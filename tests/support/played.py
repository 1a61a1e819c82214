"""A simulated Jetson in place of this computer, and networks for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from remote.benchmark import BenchmarkSettings
from remote.runtimes.tensorrt import measurement
from remote.runtimes.tensorrt import runtime as tensorrt
from remote.runtimes.tensorrt.runtime import TensorRT
from simulator.jetson import Jetson

SETTINGS = BenchmarkSettings(
    batch=2, threads=1, warmup_s=0.05, duration_s=0.05, min_queries=30, repeats=2, max_cov=1e9, session=1
)
EXAMPLE = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
PRODUCTS = (("x", "a"), ("a", "b"), ("b", "y"))
Start = Callable[..., TensorRT]


def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> Jetson:
    board = Jetson(tmp_path / kind, kind)
    monkeypatch.setenv("GAITPRESS_SIMULATED_ROOT", str(board.root))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"cache-{kind}"))
    monkeypatch.setattr(tensorrt, "IDLE_S", 0.3)
    monkeypatch.setattr(tensorrt, "ENERGY_S", 1.0)
    monkeypatch.setattr(measurement, "MAX_DRIFT", 1e9)  # of a busy computer nothing is expected
    return board


def network(path: Path, opset: int = 13, seed: int = 0, op: str = "MatMul") -> Path:
    """x [n, 4] -> y [n, 3] through three products, so that a query takes some tenths of a millisecond."""
    nodes = [
        helper.make_node("MatMul" if i else op, [before, f"w{i}"], [after]) for i, (before, after) in enumerate(PRODUCTS)
    ]
    graph = helper.make_graph(
        nodes,
        "products",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(matrix, f"w{i}") for i, matrix in enumerate(matrices(seed))],
    )
    ir_version = 6 if opset <= 11 else 8
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version), path)
    return path


def matrices(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        (rng.standard_normal(shape) / shape[0] ** 0.5).astype(np.float32) for shape in ((4, 1024), (1024, 1024), (1024, 3))
    ]


def build(
    runtime: TensorRT, tmp_path: Path, precision: str = "fp32", name: str = "engine", **of: object
) -> tuple[dict, Path, Path]:
    """build.json, the network and the engine's directory."""
    file, out = network(tmp_path / f"{name}.onnx", **of), tmp_path / name
    out.mkdir(exist_ok=True)
    return runtime.build(file, out, precision, 1, (2, 4), 8), file, out
