"""Small real networks for ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def weights(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((4, 3)).astype(np.float32)


def pairs(path: Path) -> Path:
    """A network x [n, 4] -> y = x + a matrix of two rows, which takes one row or two, whatever it says."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "pairs",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["m", 4])],
        [numpy_helper.from_array(np.ones((2, 4), np.float32), "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def wide(path: Path) -> Path:
    """A network x [n, 4] -> y of 4.2 MB."""
    matrix = np.random.default_rng(0).standard_normal((4, 1 << 18)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "wide",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1 << 18])],
        [numpy_helper.from_array(matrix, "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def linear(path: Path, seed: int = 0, op: str = "MatMul") -> Path:
    """A network x [n, 4] -> y [n, 3] = x @ weights(seed); ``op`` may name an operator that no runtime knows."""
    graph = helper.make_graph(
        [helper.make_node(op, ["x", "w"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(weights(seed), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def in_half(source: Path, target: Path) -> Path:
    """The same network with its constants, and what it computes, in fp16; input and output stay float32."""
    model = onnx.load(source)
    graph = model.graph
    for tensor in graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    start, end = graph.input[0].name, graph.output[0].name
    for node in graph.node:
        node.input[:] = [f"{name}_half" if name == start else name for name in node.input]
        node.output[:] = [f"{name}_half" if name == end else name for name in node.output]
    graph.node.insert(0, helper.make_node("Cast", [start], [f"{start}_half"], to=TensorProto.FLOAT16))
    graph.node.append(helper.make_node("Cast", [f"{end}_half"], [end], to=TensorProto.FLOAT))
    onnx.checker.check_model(model)
    onnx.save(model, target)
    return target
