"""The least exact mix of precisions that `trtexec --best --calib` may choose for a network in fp32.

TensorRT gives each layer the precision that is fastest on the board; int8 needs a range of the layer's input. Its choice is
unknown without the board, so here all layers with weights and such a range are in int8; the rest is in fp16.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

WEIGHTED = {"Conv": 0, "Gemm": 1, "MatMul": 1}  # the weights' axis of the output channels, by operator


def mixed(model: onnx.ModelProto, scales: Mapping[str, float]) -> None:
    """Put layers with weights in int8, in place, where the range of their input is known.

    Args:
        model: the network in fp32.
        scales: of activations, by the tensor's name.
    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    quantized: set[str] = set()
    zero = numpy_helper.from_array(np.zeros((), np.int8), "mixed/zero")
    for node in graph.node:
        if node.op_type in WEIGHTED and node.input[0] in scales and node.input[1] in weights:
            name = node.input[0]
            if name not in quantized:
                scale = numpy_helper.from_array(np.array(scales[name], np.float32), f"{name}/scale")
                graph.initializer.append(scale)
                nodes += [
                    helper.make_node("QuantizeLinear", [name, scale.name, zero.name], [f"{name}/int8"]),
                    helper.make_node("DequantizeLinear", [f"{name}/int8", scale.name, zero.name], [f"{name}/mixed"]),
                ]
                quantized.add(name)
            node.input[0] = f"{name}/mixed"
            _round(weights[node.input[1]], WEIGHTED[node.op_type])
        nodes.append(node)
    if quantized:
        graph.initializer.append(zero)
    del graph.node[:]
    graph.node.extend(nodes)


def _round(weight: onnx.TensorProto, axis: int) -> None:
    """Round weights to their int8 values, in place: one scale an output channel, or one scale for a stack of matrices."""
    values = numpy_helper.to_array(weight)
    others = None if weight.dims and len(weight.dims) > 2 and axis else tuple(n for n in range(values.ndim) if n != axis)
    scale = np.maximum(np.abs(values).max(axis=others, keepdims=True) / 127, np.finfo(np.float32).tiny)
    weight.CopyFrom(numpy_helper.from_array((np.round(values / scale) * scale).astype(np.float32), weight.name))
