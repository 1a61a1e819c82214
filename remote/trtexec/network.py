"""What must be known of an ONNX file before TensorRT gets it: its inputs, and whether and how it is quantised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Network:
    """An ONNX network.

    Attributes:
        inputs: for each input, its axes; None for one that is free.
        output: name of the first output.
        quantized: it holds QuantizeLinear or DequantizeLinear.
        unsigned: a quantised tensor has unsigned values, which TensorRT does not take.
        integer_constants: the types of constants that are dequantised as they are, by ONNX's name: "INT8", "INT32".
    """

    inputs: Mapping[str, tuple[int | None, ...]]
    output: str
    quantized: bool
    unsigned: bool
    integer_constants: frozenset[str]


def read(path: Path) -> Network:
    """Read an ONNX file without running anything of it.

    Raises:
        ValueError: it is no ONNX file.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError:
        raise ValueError(f"{path.name} is no ONNX file") from None
    graph = model.graph
    constants = {tensor.name: tensor.data_type for tensor in graph.initializer}
    linear = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    zero_points = [constants.get(node.input[2]) for node in linear if len(node.input) > 2]
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
        or onnx.TensorProto.UINT8 in zero_points,
        integer_constants=frozenset(
            onnx.TensorProto.DataType.Name(constants[node.input[0]])
            for node in linear
            if node.op_type == "DequantizeLinear" and node.input[0] in constants
        ),
    )
