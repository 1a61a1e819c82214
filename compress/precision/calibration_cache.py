"""TensorRT's calibration caches: the ranges of a network's activations as text, for TensorRT up to 10."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from compress.errors import CompressionError

CACHE_VERSION = 100300  # TensorRT 10.3.0, that of JetPack 6.1 and 6.2
# Operators whose outputs lie within the range of their inputs.
SAME_RANGE = {"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity", "MaxPool", "Relu", "Clip", "Slice"}


def activation_scales(source: Path, quantised: Path) -> dict[str, float]:
    """The scales that TensorRT's calibration cache would hold for a network, from its Q/DQ file.

    Args:
        source: the network in fp32; the scales have its tensors' names, for the cache goes with this file.
        quantised: the file that quantization.Calibrated wrote of it.

    Returns:
        The greatest absolute value / 127 of each tensor that was calibrated. Where activations are int8, this is exactly
        the scale of the tensor's QuantizeLinear node.
    """
    proto = onnx.load(quantised)
    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    calibrated: dict[str, float] = {}
    for node in proto.graph.node:
        if node.op_type == "QuantizeLinear" and node.input[0] not in constants:
            scale = float(numpy_helper.to_array(constants[node.input[1]]))
            zero = numpy_helper.to_array(constants[node.input[2]])
            if zero.dtype == np.uint8:
                scale *= max(int(zero), 255 - int(zero)) / 127
            calibrated[node.input[0].removesuffix("_QuantizeLinear_Input")] = scale
    graph = onnx.load(source).graph
    scales = {value.name: calibrated[value.name] for value in graph.input if value.name in calibrated}
    for node in graph.node:
        # The quantiser drops some nodes: quantising does the work of a Relu, and a constant shape needs no Reshape.
        ranges = [scales[name] for name in node.input if name in scales]
        for name in node.output:
            if name in calibrated:
                scales[name] = calibrated[name]
            elif ranges and node.op_type in SAME_RANGE:
                scales[name] = ranges[0]
            elif node.op_type == "Concat" and len(ranges) == len(node.input):
                scales[name] = max(ranges)
    return scales


def write(path: Path, scales: Mapping[str, float], version: int = CACHE_VERSION) -> None:
    """Write a calibration cache as TensorRT up to 10 does, for trtexec's ``--int8 --calib=FILE`` with the file in fp32.

    TensorRT compares the first line with its own version and with the calibrator's kind, which is EntropyCalibration2 in
    trtexec, whatever the ranges came from.

    Args:
        path: the file to write.
        scales: the greatest absolute value / 127 of each tensor, as :func:`activation_scales` returns them.
        version: NV_TENSORRT_VERSION of the device: 8201 for 8.2.1, 100300 for 10.3.0.

    Raises:
        CompressionError: a scale is not a positive, finite float32, or a name has a line break.
    """
    lines = [f"TRT-{version}-EntropyCalibration2"]
    for name, scale in scales.items():
        with np.errstate(over="ignore"):
            kept = np.float32(scale)
        if not 0 < kept < np.inf or not name or len(name.splitlines()) > 1:
            raise CompressionError(f"calibration cache: {name!r} has the scale {scale}")
        lines.append(f"{name}: {struct.pack('>f', kept).hex()}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def read(path: Path) -> tuple[int, str, dict[str, float]]:
    """The content of a calibration cache.

    Returns:
        NV_TENSORRT_VERSION, the calibrator's kind ("EntropyCalibration2", ...), and the scale of each tensor.

    Raises:
        CompressionError: the file is no calibration cache; the message names the line.
    """
    head, *lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    if not (first_line := re.fullmatch(r"TRT-(\d+)-(\w+)\r?", head)):
        raise CompressionError(f"{path}: line 1 must be like TRT-8201-EntropyCalibration2, not {head[:60]!r}")
    scales = {}
    for number, line in enumerate(lines, 2):
        name, colon, digits = line.rstrip("\r").rpartition(": ")  # names may hold colons themselves
        if not colon or not re.fullmatch("[0-9a-fA-F]{8}", digits):
            raise CompressionError(f"{path}: line {number} must be like `tensor: 3c008912`, not {line[:60]!r}")
        scales[name] = struct.unpack(">f", bytes.fromhex(digits))[0]
    return int(first_line[1]), first_line[2], scales
