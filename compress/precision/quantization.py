"""INT8 ONNX files: quantise/dequantise nodes with ranges from calibration data."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from compress.errors import CompressionError
from compress.export import INPUT, opset_of, save

METHODS = ("minmax", "entropy", "percentile")
INT8_OPSET = 13  # the first operator set with one scale a channel
WEIGHTED = {"Conv", "MatMul", "Gemm"}


@dataclass(frozen=True)
class Int8:
    """The form of a network in int8.

    Attributes:
        activations: "uint8", which CPUs multiply fastest, or "int8", symmetric about 0, which TensorRT takes.
        weight_bits: 8; or 7 for CPUs that add two products in 16 bits, where 8 would overflow.
        placement: "kernels": Q/DQ pairs around every operator with an integer kernel in ONNX Runtime, and biases in INT32.
            "weights": pairs at the inputs of nodes with weights and at the weights, which stay in fp32, as biases do:
            the form that all TensorRT versions from 8.0 to 11 take.
    """

    activations: str
    weight_bits: int
    placement: str


@contextmanager
def calibrated(source: Path, calibration: Iterable[np.ndarray], method: str, per_channel: bool) -> Iterator[Calibrated]:
    """Calibrate a network whose activations get 8 bits, and its weights, symmetrically, 7 or 8.

    Args:
        source: ONNX file in fp32.
        calibration: network inputs from the training data.
        method: computes activation ranges from the values of the calibration: "minmax", "entropy" or "percentile".
        per_channel: each filter has its weight scale; else each layer has.

    Raises:
        CompressionError: there is no calibration data, or the file cannot be quantised.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType

    inputs = list(calibration)
    if not inputs:
        raise CompressionError("int8 needs calibration data, and there is none: raise quantize.calibration_sequences")
    methods = dict(
        zip(METHODS, (CalibrationMethod.MinMax, CalibrationMethod.Entropy, CalibrationMethod.Percentile), strict=True)
    )
    with tempfile.TemporaryDirectory() as scratch:
        settings = {
            "quant_format": QuantFormat.QDQ,
            "per_channel": per_channel,
            "weight_type": QuantType.QInt8,
            "calibrate_method": methods[method],
        }
        network = Calibrated(source, inputs, settings, Path(scratch))
        # The first write calibrates. This form needs the ranges of all tensors, so every other form has its ranges too.
        network.write(Path(scratch) / "first.onnx", Int8("uint8", 7, "kernels"))
        yield network


class Calibrated:
    """A network that is calibrated once and can be written in several forms.

    Attributes:
        source: the network in fp32, prepared for the quantiser.
        layers: the names of the nodes that have weights.
    """

    def __init__(self, source: Path, inputs: list[np.ndarray], settings: Mapping[str, Any], scratch: Path) -> None:
        from onnxruntime.quantization.shape_inference import quant_pre_process

        self.source = scratch / f"{sha256(source.read_bytes()).hexdigest()}.onnx"
        in_int8_opset = _in_int8_opset(source, self.source.with_suffix(".raised.onnx"))
        quant_pre_process(in_int8_opset, self.source, skip_symbolic_shape=True)
        self._inputs, self._settings, self._scratch = inputs, settings, scratch
        graph = onnx.load(self.source).graph
        weights = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
        weighted = [node for node in graph.node if node.op_type in WEIGHTED and weights.keys() & {*node.input}]
        self.layers = [node.name for node in weighted]
        # Stacks of matrices, one for each part: integer products do not allow a scale for each column of each matrix.
        self._stacked = {
            name for node in weighted if node.op_type == "MatMul" for name in node.input if weights.get(name, 2) > 2
        }

        # TensorRT's parser refuses these nodes if their weights are quantised and batch and length are free.
        self._floating_in_tensorrt = {node.name for node in weighted if _grouped_in_1d(node, weights)}

    def with_axes(self, source: Path) -> Calibrated:
        """The same network with other axes fixed; its tensors have the same names and so the same ranges."""
        return Calibrated(source, self._inputs, self._settings, self._scratch)

    def write(self, target: Path, way: Int8, floating: Sequence[str] = ()) -> None:
        """Write the Q/DQ ONNX file.

        Args:
            target: the file to write.
            way: the form of the network.
            floating: the names of the nodes that stay in fp32.
        """
        from onnxruntime.quantization import QuantType, quantize_static

        logging.getLogger().setLevel(logging.ERROR)  # the quantiser warns on the root logger at every call
        options: dict[str, Any] = {"ActivationSymmetric": way.activations == "int8", "WeightSymmetric": True}
        nodes = None
        if way.placement == "weights":
            nodes = [layer for layer in self.layers if layer not in self._floating_in_tensorrt | {*floating}]
            one_scale = [{"quant_type": QuantType.QInt8, "symmetric": True, "reduce_range": way.weight_bits == 7}]
            options |= {
                "QuantizeBias": False,
                "AddQDQPairToWeight": True,
                "OpTypesToExcludeOutputQuantization": sorted(WEIGHTED),
                "TensorQuantOverrides": dict.fromkeys(self._stacked, one_scale),
            }
            if not nodes:
                save(onnx.load(self.source), target)
                return
        quantize_static(
            self.source,
            target,
            _Reader(self._inputs),
            nodes_to_quantize=nodes,
            nodes_to_exclude=list(floating),
            activation_type=QuantType.QUInt8 if way.activations == "uint8" else QuantType.QInt8,
            reduce_range=way.weight_bits == 7,
            extra_options=options,
            calibration_cache_path=self._scratch / "ranges.json",
            **self._settings,
        )
        save(onnx.load(target), target)


def _grouped_in_1d(node: onnx.NodeProto, ranks: Mapping[str, int]) -> bool:
    """Whether a node is a grouped convolution over one axis."""
    groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
    return node.op_type == "Conv" and groups > 1 and ranks.get(node.input[1]) == 3


def _in_int8_opset(source: Path, target: Path) -> Path:
    """The file of the network in an operator set that has int8: ``source`` itself, or ``target``, which this writes.

    Raises:
        CompressionError: the network cannot be converted to that operator set.
    """
    proto = onnx.load(source)
    if (opset := opset_of(proto)) >= INT8_OPSET:
        return source
    try:
        save(onnx.version_converter.convert_version(proto, INT8_OPSET), target)
    except (RuntimeError, ValueError) as error:
        raise CompressionError(
            f"int8 needs opset {INT8_OPSET}, and the network with export.opset = {opset} cannot be raised to it ({error}); "
            "raise export.opset or take int8 out of precisions"
        ) from None
    return target


class _Reader:
    """Calibration inputs as ONNX Runtime's quantiser reads them."""

    def __init__(self, inputs: list[np.ndarray]) -> None:
        self._inputs: Iterator[np.ndarray] = iter(inputs)

    def get_next(self) -> dict[str, np.ndarray] | None:
        array = next(self._inputs, None)
        return None if array is None else {INPUT: array}
