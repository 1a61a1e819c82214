"""ONNX files from PyTorch and Keras models: the signature as output, simplified, checked, and their size counted."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from compress.errors import CompressionError

INPUT, OUTPUT = "input", "signature"


def export_torch(model: Any, path: Path, shape: Sequence[int | str], opset: int) -> None:
    """Write a PyTorch model in evaluation mode as ONNX.

    Args:
        model: maps one tensor to one tensor.
        path: the .onnx file to write.
        shape: of the input, such as ["batch", "frames", 64, 44]; a named axis is dynamic. If the first axis is, the output's
            first axis is dynamic too, with the same name.
        opset: ONNX operator set.

    Raises:
        CompressionError: the model cannot be written in that operator set.
    """
    import torch

    # Tracing may write an example's size into the network, so dynamic axes have a size that no layer has by chance.
    example = torch.rand([3 if isinstance(axis, str) else axis for axis in shape])
    dynamic = {INPUT: {axis: name for axis, name in enumerate(shape) if isinstance(name, str)}}
    dynamic[OUTPUT] = {axis: name for axis, name in dynamic[INPUT].items() if axis == 0}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the TorchScript exporter announces its successor at every call
            torch.onnx.export(
                model, (example,), path, input_names=[INPUT], output_names=[OUTPUT], dynamic_axes=dynamic,
                opset_version=opset, dynamo=False,
            )  # fmt: skip
    except (RuntimeError, ValueError, torch.onnx.errors.OnnxExporterError) as error:
        raise CompressionError(f"the model cannot be exported with opset {opset}: {error}") from None
    _simplify(path)


def export_keras(model: Any, path: Path, shape: Sequence[int | str], opset: int) -> None:
    """Write a Keras model (TensorFlow backend) as ONNX; the transposes of a channels-first input are folded away.

    Args:
        model: maps one input to one output.
        path: the .onnx file to write.
        shape: of the input, such as ["batch", 50, 60, 60]; only the first axis may be named, and so dynamic.
        opset: ONNX operator set.

    Raises:
        CompressionError: the model cannot be written in that operator set.
    """
    import tensorflow as tf
    import tf2onnx

    for logger in ("tf2onnx", "tensorflow"):
        logging.getLogger(logger).setLevel(logging.ERROR)

    sizes = [None if isinstance(axis, str) else axis for axis in shape]

    @tf.function(input_signature=[tf.TensorSpec(sizes, tf.float32, name=INPUT)])
    def forward(inputs: Any) -> Any:
        return tf.identity(model(inputs, training=False), name=OUTPUT)

    try:
        proto, _ = tf2onnx.convert.from_function(forward, forward.input_signature, opset=opset)
    except (ValueError, NotImplementedError) as error:
        raise CompressionError(f"the model cannot be exported with opset {opset}: {error}") from None
    _rename(proto.graph.input[0].name, INPUT, proto)
    _rename(proto.graph.output[0].name, OUTPUT, proto)
    if isinstance(shape[0], str):
        for value in (proto.graph.input[0], proto.graph.output[0]):
            value.type.tensor_type.shape.dim[0].dim_param = shape[0]
    _name_by_weights(proto)
    save(proto, path)
    _simplify(path)


def _name_by_weights(proto: onnx.ModelProto) -> None:
    """Give nodes whose own name says nothing ("Conv__24") the path of their weights, as profiles of engines show it."""
    constants = {tensor.name for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        weights = next((name for name in node.input if name in constants and "/" in name), None)
        if weights and "/" not in node.name:
            node.name = f"{'/'.join(weights.split('/')[:2])}/{node.name}"


def _rename(old: str, new: str, proto: onnx.ModelProto) -> None:
    for node in proto.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    for value in (*proto.graph.input, *proto.graph.output):
        if value.name == old:
            value.name = new


def _simplify(path: Path) -> None:
    import onnxslim

    proto = onnxslim.slim(onnx.load(path))
    onnx.checker.check_model(proto, full_check=True)
    save(proto, path)


def save(proto: onnx.ModelProto, path: Path) -> None:
    """Write an ONNX file that old runtimes read too: with the lowest IR version that its operator sets allow.

    A runtime refuses a file for its IR version alone, and tools write their newest one. Operator sets that no node uses
    (quantisers declare all that they know) would raise the version, so this removes them.
    """
    used = _domains(proto.graph)
    kept = [opset for opset in proto.opset_import if (opset.domain or "ai.onnx") in used]
    del proto.opset_import[:]
    proto.opset_import.extend(kept)
    proto.ir_version = onnx.helper.find_min_ir_version_for(kept, ignore_unknown=True)
    onnx.save(proto, path)


def fix_axes(source: Path, target: Path, shape: Sequence[int | str]) -> None:
    """Write a network with free axes of its input fixed; all that the network computes from them becomes constant.

    Args:
        source: the ONNX file.
        target: the file to write.
        shape: of the input; named axes stay free.
    """
    import onnxslim

    proto = onnx.load(source)
    for axis, size in zip(proto.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        if isinstance(size, int):
            axis.dim_value = size
    del proto.graph.value_info[:]  # these shapes still have the axes free
    fixed = onnxslim.slim(proto)
    onnx.checker.check_model(fixed, full_check=True)
    save(fixed, target)


def opset_of(proto: onnx.ModelProto) -> int:
    """The version of ONNX's own operator set in which a network is written."""
    return next(opset.version for opset in proto.opset_import if opset.domain in ("", "ai.onnx"))


def _domains(graph: onnx.GraphProto) -> set[str]:
    """The operator sets of the nodes of a graph and of the graphs inside it; always with ONNX's own."""
    domains = {"ai.onnx"}
    for node in graph.node:
        domains.add(node.domain or "ai.onnx")
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                domains |= _domains(inner) if inner.node else set()
    return domains


def session(path: Path) -> Any:
    """ONNX Runtime's session of an ONNX file, on one thread, whose integer sums are the same on every CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Without VNNI, x86 adds two products in 16 bits, and weights of 8 bits overflow there. Slower kernels do not.
    options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run(path: Path, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs of an ONNX file for each input, computed by ONNX Runtime on one thread."""
    opened = session(path)
    return [opened.run([OUTPUT], {INPUT: array})[0] for array in inputs]


def relative_error(actual: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """The greatest absolute difference over all outputs, as a share of the greatest absolute expected value."""
    greatest = max(float(np.abs(output).max()) for output in expected)
    differences = (float(np.abs(output - wanted).max()) for output, wanted in zip(actual, expected, strict=True))
    return max(differences) / max(greatest, 1e-30)


def batch_error(path: Path, inputs: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """The :func:`relative_error` of an ONNX file's outputs for a batch against those of each input alone.

    Args:
        path: the ONNX file, with a dynamic batch axis.
        inputs: arrays of the same shape with a batch axis of 1; together they are the batch.
        expected: the output of each input alone.

    Raises:
        CompressionError: the network does not run on a batch, or does not return an output for each input.
    """
    try:
        [together] = run(path, [np.concatenate(inputs)])
    except Exception as error:  # the runtime raises many kinds, all about the network
        raise CompressionError(f"it does not run on {len(inputs)} inputs at once: {' '.join(str(error).split())}") from None
    if len(together) != len(inputs):
        raise CompressionError(f"it gives {len(together)} outputs for {len(inputs)} inputs at once")
    return relative_error([output[None] for output in together], expected)


def multiply_adds(path: Path, shape: Sequence[int]) -> int:
    """The multiply-adds of convolutions and matrix products in one inference with an input of ``shape``.

    Raises:
        CompressionError: the shapes of the layers cannot be inferred.
    """
    import onnxslim

    # With the input's shape fixed, all that the network computes from that shape becomes constant.
    proto = onnxslim.slim(onnx.load(path), input_shapes=[f"{INPUT}:{','.join(map(str, shape))}"])
    inferred = onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
    shapes = {tensor.name: list(tensor.dims) for tensor in inferred.graph.initializer}
    for value in (*inferred.graph.value_info, *inferred.graph.output, *inferred.graph.input):
        shapes[value.name] = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
    total = 0
    for node in inferred.graph.node:
        if node.op_type == "Conv":
            kernel = shapes[node.input[1]]
            total += int(np.prod(shapes[node.output[0]])) * int(np.prod(kernel[1:]))
        elif node.op_type in ("MatMul", "Gemm"):
            transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
            depth = shapes[node.input[0]][-2 if transposed else -1]
            total += int(np.prod(shapes[node.output[0]])) * depth
    if total <= 0:
        raise CompressionError(f"{path}: the multiply-adds cannot be counted: the shapes of its layers are unknown")
    return total
