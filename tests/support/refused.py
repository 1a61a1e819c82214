"""Networks that TensorRT refuses, each for one reason, and the words that tell it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NODE = helper.make_node
SCALE = np.float32(0.1)


def pair(**axis: int) -> list[onnx.NodeProto]:
    return [
        NODE("QuantizeLinear", ["x", "scale", "zero"], ["q"], **axis),
        NODE("DequantizeLinear", ["q", "scale", "zero"], ["y"], **axis),
    ]


def biased(values: np.ndarray) -> tuple[list[onnx.NodeProto], dict[str, Any]]:
    """x + a bias that is dequantised, as ONNX Runtime's quantiser writes it."""
    nodes = [NODE("DequantizeLinear", ["bias", "scale", "zero"], ["b"]), NODE("Add", ["x", "b"], ["y"])]
    return nodes, {"bias": values, "scale": SCALE, "zero": np.zeros((), values.dtype)}


# What is wrong: the nodes from x [1, 4] to y, the constants, and words of TensorRT's.
REFUSED: dict[str, tuple[list[onnx.NodeProto], dict[str, Any], str]] = {
    "an INT32 bias": (*biased(np.ones(4, np.int32)), "input has type Int32 but must have type"),
    "an unsigned constant": (*biased(np.ones(4, np.uint8)), "Found unsupported input type"),
    "unsigned zero points": (pair(), {"scale": SCALE, "zero": np.uint8(128)}, "shiftIsAllZeros"),
    "a zero point other than 0": (pair(), {"scale": SCALE, "zero": np.int8(3)}, "shiftIsAllZeros"),
    "a scale of 0": (pair(), {"scale": np.float32(0), "zero": np.int8(0)}, "Scale coefficients must all be positive"),
    "a negative scale": (pair(), {"scale": np.float32(-1), "zero": np.int8(0)}, "Scale coefficients must all be positive"),
    "a scale for each of other channels": (
        [
            NODE("QuantizeLinear", ["weight", "scale", "zero"], ["q"], axis=0),
            NODE("DequantizeLinear", ["q", "scale", "zero"], ["w"], axis=0),
            NODE("Add", ["x", "w"], ["y"]),
        ],
        {"weight": np.ones(4, np.float32), "scale": np.full(3, 0.1, np.float32), "zero": np.zeros(3, np.int8)},
        "The number of scales is not equal",
    ),
    "an unknown operator": ([NODE("Teleport", ["x"], ["y"])], {}, "Plugin not found"),
    "an integer operator of ONNX": (
        [
            NODE("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
            NODE("QLinearMatMul", ["q", "scale", "zero", "w", "scale", "zero", "scale", "zero"], ["r"]),
            NODE("DequantizeLinear", ["r", "scale", "zero"], ["y"]),
        ],
        {"scale": SCALE, "zero": np.int8(0), "w": np.ones((4, 4), np.int8)},
        "QLinearMatMul",
    ),
    "an operator without plug-in": (
        [NODE("NonZero", ["x"], ["n"]), NODE("Cast", ["n"], ["y"], to=TensorProto.FLOAT)], {}, "NonZero",
    ),
    "shapes that do not fit": ([NODE("MatMul", ["x", "w"], ["y"])], {"w": np.ones((3, 4), np.float32)}, "MatMul"),
    "types that do not fit": (
        [NODE("Cast", ["x"], ["h"], to=TensorProto.FLOAT16), NODE("Add", ["h", "x"], ["y"])], {}, "Add",
    ),
    "nodes in a circle": (
        [NODE("Add", ["b", "x"], ["a"]), NODE("Add", ["a", "x"], ["b"]), NODE("Identity", ["b"], ["y"])],
        {}, "INVALID_GRAPH",
    ),
    "a tensor that nothing makes": ([NODE("Add", ["x", "nothing"], ["y"])], {}, "INVALID_GRAPH"),
    "a constant of another type": (
        [NODE("Cast", ["c"], ["f"], to=TensorProto.FLOAT), NODE("Add", ["x", "f"], ["y"])],
        {"c": np.ones(4, np.int16)}, "Failed to import initializer",
    ),
    "no ONNX file": ([], {}, "MODEL_DESERIALIZE_FAILED"),
}  # fmt: skip


def write(what: str, path: Path) -> Path:
    """One of them as a file."""
    nodes, constants, _ = REFUSED[what]
    if not nodes:
        path.write_bytes(b"\xff\xfejunk")
        return path
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    initial = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "refused", values[:1], values[1:], initial)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7), path)
    return path
