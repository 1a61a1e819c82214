"""What `trtexec --best --calib` may make of a network in fp32: a mix, of which this is the least exact.

TensorRT takes each layer in the precision that is fastest on the board, int8 where it has a range. Nobody can know its
choice without the board, so all layers with weights that have one are taken in int8 here; the rest is in fp16.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

WEIGHTED = {"Conv": 0, "Gemm": 1, "MatMul": 1}  # and the axis of the weights that output channels are on


def mixed(model: onnx.ModelProto, scales: Mapping[str, float]) -> None:
    """Put layers with weights in int8, in place, where the range of their input is known.

    Args:
        model: in fp32.
        scales: of activations, by tensor.
    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    made: set[str] = set()
    zero = numpy_helper.from_array(np.zeros((), np.int8), "mixed/zero")
    for node in graph.node:
        if node.op_type in WEIGHTED and node.input[0] in scales and node.input[1] in weights:
            name = node.input[0]
            if name not in made:
                scale = numpy_helper.from_array(np.array(scales[name], np.float32), f"{name}/scale")
                graph.initializer.append(scale)
                nodes += [
                    helper.make_node("QuantizeLinear", [name, scale.name, zero.name], [f"{name}/int8"]),
                    helper.make_node("DequantizeLinear", [f"{name}/int8", scale.name, zero.name], [f"{name}/mixed"]),
                ]
                made.add(name)
            node.input[0] = f"{name}/mixed"
            _round(weights[node.input[1]], WEIGHTED[node.op_type])
        nodes.append(node)
    if made:
        graph.initializer.append(zero)
    del graph.node[:]
    graph.node.extend(nodes)


def _round(weight: onnx.TensorProto, axis: int) -> None:
    """Weights as int8 has them, one scale an output channel; a stack of matrices has one in all."""
    values = numpy_helper.to_array(weight)
    others = None if weight.dims and len(weight.dims) > 2 and axis else tuple(n for n in range(values.ndim) if n != axis)
    scale = np.maximum(np.abs(values).max(axis=others, keepdims=True) / 127, np.finfo(np.float32).tiny)
    weight.CopyFrom(numpy_helper.from_array((np.round(values / scale) * scale).astype(np.float32), weight.name))
