"""Refuse the networks that TensorRT's parser refuses: by the parser itself if it is installed, else by rules.

tests/remote/runtimes/tensorrt/test_preflight.py compares each rule with the real parser. The rules also refuse
networks that the parser takes, since TensorRT 8 has neither unsigned values nor some newer operators. There is no known
network that only the parser refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from remote.runtimes.tensorrt.trtexec import preflight

# ONNX operators that the parser of TensorRT for RTX 1.7 imports, by OnnxParser.supports_operator, without NonZero, which
# needs a plug-in.
NAMES = """
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast CastLike Ceil
Celu Clip Concat Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DepthToSpace DequantizeLinear Div
Dropout Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm
GlobalAveragePool GlobalLpPool GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HardSigmoid
HardSwish Hardmax Identity If InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less
LessOrEqual Log LogSoftmax Loop LpNormalization LpPool MatMul Max MaxPool Mean MeanVarianceNormalization Min
Mish Mod Mul Neg NonMaxSuppression Not OneHot Or PRelu Pad Pow QuantizeLinear RNN RandomNormal
RandomNormalLike RandomUniform RandomUniformLike Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum
ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize
ReverseSequence RoiAlign Round Scan ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size
Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile TopK
Transpose Trilu Unsqueeze Upsample Where Xor
"""
OPERATORS = set(NAMES.split())
QUANTIZING = ("QuantizeLinear", "DequantizeLinear")
# Types of constants, inputs and outputs.
TYPES = {
    TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.INT8, TensorProto.INT32, TensorProto.INT64,
    TensorProto.BOOL, TensorProto.DOUBLE, TensorProto.UINT8,
}  # fmt: skip
Constants = Mapping[str, TensorProto]


def refusal(path: Path, ranges: Mapping[str, Mapping[str, list[int]]]) -> str | None:
    """TensorRT's words of refusal, or None if it takes the file.

    Args:
        path: the ONNX file.
        ranges: "min", "opt" and "max": a shape for each input with free axes.
    """
    if preflight.available():
        shapes = {name: [ranges[kind][name] for kind in ("min", "opt", "max")] for name in ranges.get("opt", {})}
        words: str | None = preflight.ask(path, compiled=True, ranges=shapes)["refusal"]
        return words
    return by_rules(path)


def by_rules(path: Path) -> str | None:
    """TensorRT's words of refusal by the rules, or None if the file breaks none."""
    try:
        model = onnx.load(path)
    except Exception:
        return "(deserializeOnnxModel): MODEL_DESERIALIZE_FAILED: Failed to parse the ONNX model."
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for tensor in model.graph.initializer:
        if tensor.data_type not in TYPES:
            return f"(importInitializers): UNSUPPORTED_NODE: Failed to import initializer: {tensor.name}"
    for value in model.graph.input:
        if value.type.tensor_type.elem_type not in TYPES:
            return "(importInput): UNSUPPORTED_NODE: Failed to convert ONNX date type to TensorRT data type."
    for place, node in enumerate(model.graph.node):
        if words := next(_broken(node, constants), None):
            return f"In node {place} with name: {node.name} and operator: {node.op_type} {words}"
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # types, shapes or the order of nodes do not fit together
        return f"In node -1 with name: and operator: (parseGraph): INVALID_GRAPH: {' '.join(str(error).split())}"
    return None


def _broken(node: onnx.NodeProto, constants: Constants) -> Iterator[str]:
    """The words of each rule that a node breaks."""
    rules: tuple[Callable[[onnx.NodeProto, Constants], str | None], ...] = (_operator, _types, _zero_points, _scales)
    yield from filter(None, (rule(node, constants) for rule in rules))


def _operator(node: onnx.NodeProto, constants: Constants) -> str | None:
    if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
        return (
            '(checkFallbackPluginImporter): INVALID_NODE: creator && "Plugin not found, are the plugin name, version, and '
            'namespace correct?"'
        )
    return None


def _types(node: onnx.NodeProto, constants: Constants) -> str | None:
    input_type = constants[node.input[0]].data_type if node.input and node.input[0] in constants else None
    if node.op_type == "DequantizeLinear" and input_type == TensorProto.INT32:
        return "(parseNode): INVALID_NODE: input has type Int32 but must have type FP8, FP4, Int4, Int8, or UInt8."
    if node.op_type == "DequantizeLinear" and input_type not in (None, TensorProto.INT8):
        return "(checkNotInvalidType): UNSUPPORTED_NODE: Found unsupported input type"
    return None


def _zero_points(node: onnx.NodeProto, constants: Constants) -> str | None:
    if node.op_type not in QUANTIZING or len(node.input) < 3:
        return None
    zero = constants.get(node.input[2])
    if zero is None or zero.data_type == TensorProto.UINT8 or numpy_helper.to_array(zero).any():
        return (
            "(buildZeroPointTensor): INVALID_NODE: Assertion failed: shiftIsAllZeros(zeroPoint): Non-zero zero point is not "
            "supported."
        )
    return None


def _scales(node: onnx.NodeProto, constants: Constants) -> str | None:
    if node.op_type not in QUANTIZING or node.input[1] not in constants:
        return None
    scale = numpy_helper.to_array(constants[node.input[1]])
    if not (scale > 0).all() or not np.isfinite(scale).all():
        return "(resolveScaleInput): INVALID_NODE: Assertion failed: Scale coefficients must all be positive"
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
    if scale.size > 1 and node.input[0] in constants and constants[node.input[0]].dims[axis] != scale.size:
        return "(validateScaleDimensions): INVALID_NODE: The number of scales is not equal to the number of output channels."
    return None
