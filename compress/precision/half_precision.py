"""ONNX files in fp16, and the errors of a network in fp16."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from compress.errors import CompressionError
from compress.export import INPUT, OUTPUT, relative_error, run, save, session

GREATEST, NORMAL = 65504.0, 2.0**-14  # the greatest fp16 number, and the least positive one with all 11 binary digits


@dataclass(frozen=True)
class Fp16:
    """The effects of fp16 on a network.

    Attributes:
        error: of the signatures if every operation rounds to fp16, relative to the greatest signature value in fp32.
        largest: the greatest absolute value inside the network, signatures included; fp16 ends at 65504.
        weights: the number of weights.
        cut: the number of weights beyond 65504, which became 65504.
        subnormal: the number of weights other than 0 below 2**-14: fp16 has fewer digits for these, and some hardware takes
            them as 0.
    """

    error: float
    largest: float
    weights: int
    cut: int
    subnormal: int


def to_fp16(source: Path, target: Path, inputs: Sequence[np.ndarray]) -> Fp16:
    """Write a network in fp16 with input and output in float32, and measure the effects.

    On processors, ONNX Runtime computes most of an fp16 network in fp32 between casts, and so neither rounds nor overflows
    as a device does. So the measured network is in fp32 and rounds the result of every operation to fp16.

    Args:
        source: ONNX file in fp32.
        target: the ONNX file to write.
        inputs: network inputs from the training data.

    Raises:
        CompressionError: there are no inputs, or a value inside the network is too great for fp16 and would become infinite.
    """
    from onnxruntime.transformers import float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    if not inputs:
        raise CompressionError(
            "fp16 is tried on training sequences, and there are none: raise quantize.calibration_sequences"
        )
    proto = onnx.load(source)
    precise = _powers(proto.graph)
    rounded, values = _rounding(proto, precise)
    with tempfile.TemporaryDirectory() as scratch:
        trial = Path(scratch) / "rounded.onnx"
        onnx.save(rounded, trial)
        outputs, largest = _measure(trial, values, inputs)
    arrays = [numpy_helper.to_array(tensor) for tensor in _weights(proto)]
    half = Fp16(
        error=relative_error(outputs, run(source, inputs)),
        largest=largest,
        weights=sum(array.size for array in arrays),
        cut=sum(int((np.abs(array) > GREATEST).sum()) for array in arrays),
        subnormal=sum(int(((array != 0) & (np.abs(array) < NORMAL)).sum()) for array in arrays),
    )
    # The converter's own list blocks minimum and maximum, for runtimes older than opset 8.
    blocked = [kind for kind in float16.DEFAULT_OP_BLOCK_LIST if kind not in ("Min", "Max")]
    converted = float16.convert_float_to_float16(
        proto, keep_io_types=True, op_block_list=blocked, node_block_list=sorted(precise)
    )
    _drop_detours(converted.graph)
    OnnxModel(converted).topological_sort(is_deterministic=True)  # the converter puts its casts at the end
    onnx.checker.check_model(converted)
    save(converted, target)
    return half


def _weights(proto: onnx.ModelProto) -> Iterator[TensorProto]:
    """The float32 constants of a network."""
    yield from (tensor for tensor in proto.graph.initializer if tensor.data_type == TensorProto.FLOAT)
    for node in proto.graph.node:
        yield from (attribute.t for attribute in node.attribute if attribute.t.data_type == TensorProto.FLOAT)


def _powers(graph: onnx.GraphProto) -> set[str]:
    """The names of the nodes that stay in fp32: powers, and the nodes between two of them.

    In fp16 a generalised mean, (mean of x ** 6.5) ** (1 / 6.5), loses small values, and overflows from an x of about 5.5 on.
    """
    readers: dict[str, list[onnx.NodeProto]] = {}
    for number, node in enumerate(graph.node):
        node.name = node.name or f"node {number}"
        for name in node.input:
            readers.setdefault(name, []).append(node)
    powers = [node for node in graph.node if node.op_type == "Pow"]
    after = [reader for power in powers for reader in readers.get(power.output[0], [])]
    ends = {node.name for node in powers}
    between = {node.name for node in after if any(next_.name in ends for next_ in readers.get(node.output[0], []))}
    return ends | between


def _drop_detours(graph: onnx.GraphProto) -> None:
    """Remove the casts to fp16 and back that the converter leaves between two nodes in fp32."""
    casts = {node.output[0]: node for node in graph.node if node.op_type == "Cast"}
    direct = {}
    for name, cast in casts.items():
        first = casts.get(cast.input[0])
        if cast.attribute[0].i == TensorProto.FLOAT and first is not None and first.attribute[0].i == TensorProto.FLOAT16:
            direct[name] = first.input[0]
    for node in graph.node:
        node.input[:] = [direct.get(name, name) for name in node.input]
    while True:
        read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
        unused = [node for name, node in casts.items() if name not in read]
        if not unused:
            return
        for node in unused:
            graph.node.remove(node)
            del casts[node.output[0]]


def _rounding(source: onnx.ModelProto, precise: set[str]) -> tuple[onnx.ModelProto, list[str]]:
    """A network in fp32 that rounds weights, input and the result of every operation to fp16.

    Args:
        source: the network.
        precise: names of the nodes in fp32, whose results are rounded only if other nodes read them.

    Returns:
        The network, and the names of its operations' results in the order of computing. The output "<name> greatest" is the
        greatest absolute value of a result before it is rounded.
    """
    from onnxruntime.transformers.float16 import convert_np_to_float16

    proto = onnx.shape_inference.infer_shapes(source)
    graph = proto.graph
    for tensor in _weights(proto):
        exact = numpy_helper.to_array(tensor)
        rounded = convert_np_to_float16(exact.reshape(-1)).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(rounded.reshape(exact.shape), tensor.name))
    typed = (*graph.value_info, *graph.output)
    floats = {value.name for value in typed if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    nodes, names = _rounded(f"{INPUT} exact", INPUT), []
    nodes.insert(0, helper.make_node("Identity", [INPUT], [f"{INPUT} exact"]))
    nodes[-1].output[0] = f"{INPUT} rounded"
    outside = {name for node in graph.node if node.name not in precise for name in node.input}
    outside |= {value.name for value in graph.output}
    for node in graph.node:
        node.input[:] = [f"{INPUT} rounded" if name == INPUT else name for name in node.input]
        nodes.append(node)
        for place, name in enumerate(node.output):
            if name in floats and (node.name not in precise or name in outside):
                node.output[place] = f"{name} exact"
                nodes.append(helper.make_node("Abs", [f"{name} exact"], [f"{name} absolute"]))
                nodes.append(helper.make_node("ReduceMax", [f"{name} absolute"], [f"{name} greatest"], keepdims=0))
                nodes += _rounded(f"{name} exact", name)
                names.append(name)
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.output.extend(helper.make_tensor_value_info(f"{name} greatest", TensorProto.FLOAT, []) for name in names)
    return proto, names


def _rounded(exact: str, name: str) -> list[onnx.NodeProto]:
    """Nodes that compute ``name``, which is ``exact`` rounded to fp16."""
    return [
        helper.make_node("Cast", [exact], [f"{name} half"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", [f"{name} half"], [name], to=TensorProto.FLOAT),
    ]


def _measure(path: Path, values: list[str], inputs: Sequence[np.ndarray]) -> tuple[list[np.ndarray], float]:
    """The signatures of a network of :func:`_rounding`, and the greatest value inside it.

    Raises:
        CompressionError: a value is too great for fp16; the message names the first.
    """
    opened = session(path)
    outputs, largest = [], 0.0
    for array in inputs:
        signature, *greatest = opened.run([OUTPUT, *(f"{name} greatest" for name in values)], {INPUT: array})
        for name, value in zip(values, map(float, greatest), strict=True):
            if not value <= GREATEST:
                raise CompressionError(
                    f"fp16 overflows: {name} reaches {value:.3g} on training sequences, and fp16 ends at {GREATEST:.0f}; "
                    "take fp16 out of precisions, or train this model with a weight decay or batch norm that keeps it small"
                )
            largest = max(largest, value)
        outputs.append(signature)
    return outputs, largest
