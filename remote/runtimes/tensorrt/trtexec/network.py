"""Read the facts of an ONNX file that matter to TensorRT: its inputs, and whether and how it is quantised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


Resize = tuple[str, str, str, bool]


@dataclass(frozen=True)
class Network:
    """An ONNX network.

    Attributes:
        inputs: the axes of each input; None for a free axis.
        output: the name of the first output.
        quantized: whether it holds QuantizeLinear or DequantizeLinear.
        unsigned: whether a quantised tensor has unsigned values, which TensorRT does not take.
        shifted: whether a quantised tensor has another zero point than 0.
        integer_constants: the types of constants that are dequantised directly, by ONNX's name: "INT8", "INT32".
        half: whether it computes in fp16 by itself: a constant is fp16, or a node casts to it.
        operators: the operators of ONNX in it, with those of inner graphs.
        doubles: whether a constant is in 64-bit floating point.
        resizes: for each Resize how it maps coordinates, interpolates and rounds to the nearest (ONNX's defaults where the
            file says nothing), and whether its scales are constants.
    """

    inputs: Mapping[str, tuple[int | None, ...]]
    output: str
    quantized: bool
    unsigned: bool
    shifted: bool
    integer_constants: frozenset[str]
    half: bool
    operators: frozenset[str]
    doubles: bool
    resizes: frozenset[Resize]


def read(path: Path) -> Network:
    """Read an ONNX file without running anything of it.

    Raises:
        ValueError: it is no ONNX file.
    """
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import numpy_helper

    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError:
        raise ValueError(f"{path.name} is no ONNX file") from None
    graph = model.graph
    constants = {tensor.name: tensor.data_type for tensor in graph.initializer}
    nodes = list(_nodes(graph))
    linear = [node for node in nodes if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    shifts = {node.input[2] for node in linear if len(node.input) > 2}
    zero_points = [tensor for tensor in graph.initializer if tensor.name in shifts]
    half = onnx.TensorProto.FLOAT16
    made_by_nodes = {name for node in nodes if node.op_type == "Constant" for name in node.output}
    if not graph.input or not graph.output:
        raise ValueError(f"{path.name} has no input or no output")
    return Network(
        inputs={
            value.name: tuple(axis.dim_value or None for axis in value.type.tensor_type.shape.dim)
            for value in graph.input
            if value.name not in constants
        },
        output=graph.output[0].name,
        quantized=bool(linear),
        # Without a zero point the values are unsigned bytes.
        unsigned=any(len(node.input) < 3 and node.op_type == "QuantizeLinear" for node in linear)
        or any(tensor.data_type == onnx.TensorProto.UINT8 for tensor in zero_points),
        shifted=any(bool(numpy_helper.to_array(tensor).any()) for tensor in zero_points),
        integer_constants=frozenset(
            onnx.TensorProto.DataType.Name(constants[node.input[0]])
            for node in linear
            if node.op_type == "DequantizeLinear" and node.input[0] in constants
        ),
        half=half in constants.values()
        or any(attribute.i == half for node in nodes if node.op_type == "Cast" for attribute in node.attribute),
        operators=frozenset(node.op_type for node in nodes if node.domain in ("", "ai.onnx")),
        doubles=onnx.TensorProto.DOUBLE in constants.values(),
        resizes=frozenset(_resize(node, constants.keys() | made_by_nodes) for node in nodes if node.op_type == "Resize"),
    )


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a graph and of the graphs inside it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _resize(node: onnx.NodeProto, constants: Set[str]) -> Resize:
    settings = {attribute.name: attribute.s.decode() for attribute in node.attribute if attribute.s}
    return (
        settings.get("coordinate_transformation_mode", "half_pixel"),
        settings.get("mode", "nearest"),
        settings.get("nearest_mode", "round_prefer_floor"),
        len(node.input) > 2 and node.input[2] in constants,
    )
