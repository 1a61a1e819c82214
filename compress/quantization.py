"""INT8 ONNX files: quantise/dequantise nodes with ranges from calibration data."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from compress.errors import CompressionError
from compress.export import INPUT, opset_of, save

METHODS = ("minmax", "entropy", "percentile")
INT8_OPSET = 13  # the first with one scale a channel
WEIGHTED = {"Conv", "MatMul", "Gemm"}


@contextmanager
def calibrated(
    source: Path, calibration: Iterable[np.ndarray], method: str, per_channel: bool, activations: str, weight_bits: int
) -> Iterator[Calibrated]:
    """Calibrate a network, to quantise activations to 8 bits and weights, symmetrically, to 7 or 8.

    Args:
        source: ONNX file in fp32.
        calibration: network inputs from the training data.
        method: how activation ranges follow from the values seen: "minmax", "entropy" or "percentile".
        per_channel: one weight scale a filter instead of one a layer.
        activations: "uint8", which CPUs multiply fastest, or "int8", symmetric about 0, which TensorRT takes.
        weight_bits: 8; or 7 for CPUs without VNNI, which add two products in 16 bits, and would overflow.

    Raises:
        CompressionError: there is no calibration data, or the file cannot be quantised.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType
    from onnxruntime.quantization.shape_inference import quant_pre_process

    inputs = list(calibration)
    if not inputs:
        raise CompressionError("int8 needs calibration data, and there is none: raise quantize.calibration_sequences")
    if (opset := opset_of(onnx.load(source))) < INT8_OPSET:
        raise CompressionError(
            f"int8 needs opset {INT8_OPSET}, and export.opset = {opset}; raise it or take int8 out of precisions"
        )
    methods = dict(
        zip(METHODS, (CalibrationMethod.MinMax, CalibrationMethod.Entropy, CalibrationMethod.Percentile), strict=True)
    )
    with tempfile.TemporaryDirectory() as scratch:
        prepared = Path(scratch) / "prepared.onnx"
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        settings = {
            "quant_format": QuantFormat.QDQ,
            "per_channel": per_channel,
            "reduce_range": weight_bits == 7,
            "activation_type": QuantType.QUInt8 if activations == "uint8" else QuantType.QInt8,
            "weight_type": QuantType.QInt8,
            "calibrate_method": methods[method],
            "extra_options": {"ActivationSymmetric": activations == "int8", "WeightSymmetric": True},
            "calibration_cache_path": Path(scratch) / "ranges.json",
        }
        yield Calibrated(prepared, inputs, settings)


class Calibrated:
    """A network whose activations' ranges are found once, however often it is written.

    Attributes:
        source: the network in fp32, as it is quantised.
        inputs: what it is calibrated on.
        layers: the names of the nodes that have weights.
    """

    def __init__(self, source: Path, inputs: list[np.ndarray], settings: Mapping[str, Any]) -> None:
        self.source, self.inputs = source, inputs
        self._settings = settings
        graph = onnx.load(source).graph
        weights = {tensor.name for tensor in graph.initializer}
        self.layers = [node.name for node in graph.node if node.op_type in WEIGHTED and weights.intersection(node.input)]

    def write(self, target: Path, floating: Sequence[str] = ()) -> None:
        """Write the Q/DQ ONNX file.

        Args:
            target: where.
            floating: the names of the nodes that stay in fp32.
        """
        from onnxruntime.quantization import quantize_static

        logging.getLogger().setLevel(logging.ERROR)  # the quantiser warns on the root logger at every call
        quantize_static(self.source, target, _Reader(self.inputs), nodes_to_exclude=list(floating), **self._settings)
        save(onnx.load(target), target)


class _Reader:
    """Calibration inputs in the form that ONNX Runtime's quantiser asks for."""

    def __init__(self, inputs: list[np.ndarray]) -> None:
        self._inputs: Iterator[np.ndarray] = iter(inputs)

    def get_next(self) -> dict[str, np.ndarray] | None:
        following = next(self._inputs, None)
        return None if following is None else {INPUT: following}
