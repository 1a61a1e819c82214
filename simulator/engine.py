"""Engines of a simulated board: ONNX Runtime runs the network, in a file that only boards of the same kind accept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from simulator.boards import Kind

MAGIC = b"simulated TensorRT engine\n"
Shapes = Mapping[str, list[int]]


class Refused(Exception):
    """A refusal, in TensorRT's own words."""


def build(kind: Kind, onnx: Path, precision: str, calibration: str | None, ranges: dict[str, Shapes]) -> bytes:
    """The content of an engine for a network.

    Args:
        kind: the kind of board.
        onnx: the network's file.
        precision: "fp32", "fp16", "int8", "best", or "typed" for a network that is itself typed.
        calibration: the calibration cache, or None.
        ranges: "min", "opt" and "max": a shape for each input with free axes.

    Raises:
        Refused: the board's TensorRT does not build it.
    """
    from onnx import TensorProto, load, numpy_helper

    # Not at the top: the program that runs engines on the board brings its own part of `remote`.
    from compress.precision import calibration_cache
    from remote.runtimes.tensorrt.trtexec import lacking
    from remote.runtimes.tensorrt.trtexec import network as networks
    from simulator import refusals
    from simulator.mixed import mixed

    try:
        model = load(onnx)
    except Exception as error:
        raise Refused(f"[TRT] ModelImporter.cpp:735: Failed to parse ONNX model from file: {onnx.name}") from error
    opset = max(entry.version for entry in model.opset_import if not entry.domain)
    if opset > kind.newest_opset:
        raise Refused(f"[TRT] ModelImporter.cpp:773: opset {opset} is newer than this parser's {kind.newest_opset}")
    quantized = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    if missing := lacking.lacking(kind.tensorrt, networks.read(onnx)):
        raise Refused(f"[TRT] ModelImporter.cpp:779: No importer registered: {missing}")
    if quantized and kind.tensorrt < (8, 0):  # the real one takes some as scaling of floating-point values
        raise Refused("[TRT] ModelImporter.cpp:779: Assertion failed: K == scale.count()")
    if (precision == "int8" or (precision == "typed" and quantized)) and kind.gpu[1] in ("5.3", "6.2"):
        raise Refused("[TRT] 4: [builder.cpp::buildInternal] Error Code 4: INT8 is not supported by this hardware")
    if calibration and Path(calibration).read_text().splitlines()[0].split("-")[1] != digits(kind.tensorrt):
        raise Refused("[TRT] 1: Calibration table does not match calibrator algorithm type.")
    inputs = {value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim] for value in model.graph.input}
    free = {name for name, axes in inputs.items() if 0 in axes}
    if free and set(ranges.get("opt", {})) != free:
        raise Refused(
            "[TRT] 4: [network.cpp::validate] Error Code 4: Network has dynamic inputs, but no profile was defined"
        )
    if not free and ranges:
        raise Refused("Static model does not take explicit shapes since the shape of inference tensors is in the model")
    if refusal := refusals.refusal(onnx, ranges):
        raise Refused(f"[TRT] ModelImporter.cpp:779: {refusal}")
    unsigned = {tensor.name for tensor in model.graph.initializer if tensor.data_type == TensorProto.UINT8}
    if any(len(node.input) > 2 and node.input[2] in unsigned for node in quantized):  # the newest parsers take this
        raise Refused("[TRT] ModelImporter.cpp:779: ERROR: TensorRT only supports symmetric quantization")
    if precision in ("fp16", "best"):
        for tensor in model.graph.initializer:
            if tensor.data_type == TensorProto.FLOAT:
                half = numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
                tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    if precision == "best" and calibration:
        mixed(model, calibration_cache.read(Path(calibration))[2])
    head = {"tensorrt": list(kind.tensorrt), "gpu": kind.gpu[1], "precision": precision, "ranges": ranges, "inputs": inputs}
    network = model.SerializeToString()
    engine = MAGIC + json.dumps(head).encode() + b"\n" + network
    Engine(kind, engine)  # fails now if ONNX Runtime cannot run it
    return engine


def digits(version: tuple[int, int, int]) -> str:
    """A version in the form of banners: 8201, 100300."""
    major, minor, patch = version
    return f"{major}{minor:02d}{patch:02d}" if major >= 10 else f"{major}{minor}{patch:02d}"


class Engine:
    """An engine that a board has loaded."""

    def __init__(self, kind: Kind, content: bytes) -> None:
        if not content.startswith(MAGIC):
            raise Refused("[TRT] 1: [stdArchiveReader.cpp] Error Code 1: Serialization (Serialization assertion failed.)")
        head, _, network = content[len(MAGIC) :].partition(b"\n")
        self.head: dict[str, Any] = json.loads(head)
        if tuple(self.head["tensorrt"]) != kind.tensorrt:
            expected, built_for = (".".join(map(str, version)) for version in (kind.tensorrt, self.head["tensorrt"]))
            raise Refused(
                "[TRT] 6: The engine plan file is not compatible with this version of TensorRT, expecting library version "
                f"{expected} got {built_for}, please rebuild."
            )
        if self.head["gpu"] != kind.gpu[1]:
            raise Refused(
                "[TRT] 6: The engine plan file is generated on an incompatible device, expecting compute "
                f"{kind.gpu[1]} got compute {self.head['gpu']}, please rebuild."
            )
        self._network = network
        try:
            self._session = self._loaded(self._options())
        except Exception as error:
            reason = " ".join(str(error).split())
            raise Refused(
                f"[TRT] ModelImporter.cpp:771: While parsing node: No importer registered for op: {reason}"
            ) from error
        self.input = self._session.get_inputs()[0].name
        self.output = self._session.get_outputs()[0].name

    def _options(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        # With weights of 8 bits this computer's kernels may overflow; a Jetson's GPU does not.
        options.add_session_config_entry("session.x64quantprecision", "1")
        return options

    def _loaded(self, options: Any) -> Any:
        import onnxruntime

        return onnxruntime.InferenceSession(self._network, options, providers=["CPUExecutionProvider"])

    def layers(self, values: np.ndarray, queries: int = 5) -> dict[str, list[float]]:
        """The times in ms of each layer by name, one a query."""
        options = self._options()
        with TemporaryDirectory() as scratch:
            options.enable_profiling, options.profile_file_prefix = True, f"{scratch}/profile"
            session = self._loaded(options)
            for _ in range(queries):
                session.run([self.output], {self.input: values})
            events = json.loads(Path(session.end_profiling()).read_text())
        times: dict[str, list[float]] = {}
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                times.setdefault(event["name"].removesuffix("_kernel_time"), []).append(event["dur"] / 1000)
        return times

    def fits(self, shape: list[int]) -> bool:
        """Whether the engine takes an input of this shape."""
        axes, ranges = self.head["inputs"][self.input], self.head["ranges"]
        if not ranges:
            return shape == axes
        least, most = ranges["min"][self.input], ranges["max"][self.input]
        return len(shape) == len(axes) and all(
            low <= size <= high for low, size, high in zip(least, shape, most, strict=True)
        )

    def run(self, values: np.ndarray) -> np.ndarray:
        """The first output, float32, for one input.

        Raises:
            Refused: the engine does not take the input's shape.
        """
        if not self.fits(list(values.shape)):
            raise Refused(
                f"[TRT] 3: [executionContext.cpp::setBindingDimensions] Error Code 3: API Usage Error ({values.shape})"
            )
        return np.ascontiguousarray(self._session.run([self.output], {self.input: values})[0], np.float32)
