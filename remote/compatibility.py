"""Which ONNX files a device's runtime reads, by its version: told before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from remote.errors import DeviceError

Version = tuple[int, ...]

# From a version on: the highest operator set that it reads and the highest IR version, None where the operator set decides.
# TensorRT: by JetPack, as NVIDIA's onnx-tensorrt states for each release (docs/operators.md of its branches release/7.2-GA,
# release/8.0-GA, ...), and for 11.5 https://github.com/NVIDIA/TensorRT/releases/tag/v11.5.
# 8.0 to 8.3 take IR versions up to 8.
# An operator set that made an attribute an input (axes of ReduceMax in 18) is beyond the versions that want the attribute.
TENSORRT: list[tuple[Version, int, int | None]] = [
    ((7, 1), 11, 6),
    ((8, 0), 13, 8),
    ((8, 4), 17, None),
    ((10, 3), 20, None),
    ((10, 13), 24, None),
    ((11, 5), 25, None),
]
# ONNX Runtime: the ONNX release inside each, https://onnxruntime.ai/docs/reference/compatibility.html
ONNXRUNTIME: list[tuple[Version, int, int | None]] = [
    ((1, 0), 11, 6),
    ((1, 3), 12, 7),
    ((1, 6), 13, 7),
    ((1, 8), 14, 7),
    ((1, 9), 15, 8),
    ((1, 11), 16, 8),
    ((1, 12), 17, 8),
    ((1, 14), 18, 8),
    ((1, 15), 19, 9),
    ((1, 17), 20, 9),
    ((1, 18), 21, 10),
    ((1, 21), 22, 10),
]
FIRST_WITH_PAIRS = 13  # the operator set that int8 is written in at least, whatever export.opset is
# Per runtime: its name in print, the table, and the first version that nothing is known of, which reads everything.
RUNTIMES: dict[str, tuple[str, list[tuple[Version, int, int | None]], Version]] = {
    "tensorrt": ("TensorRT", TENSORRT, (12, 0)),
    "onnxruntime": ("ONNX Runtime", ONNXRUNTIME, (1, 22)),
}


def opset_of(network: Any) -> int:
    """The operator set of ONNX itself that an ``onnx.ModelProto`` is written in; 0 if it names none."""
    return max((each.version for each in network.opset_import if each.domain in ("", "ai.onnx")), default=0)


def newest(facts: Mapping[str, Any]) -> tuple[int, int | None] | None:
    """The highest operator set and IR version that a device's runtime reads; None if that is not known.

    An IR version of None is any that goes with such an operator set.

    Args:
        facts: of the device: ``runtime`` and ``runtime_version``.
    """
    runtime, number = str(facts.get("runtime")), _number(facts)
    if runtime not in RUNTIMES or number is None:
        return None
    _, table, unknown = RUNTIMES[runtime]
    if number >= unknown:
        return None
    # What is older than the table reads no more than its first row.
    return next(((reads, ir) for since, reads, ir in reversed(table) if number >= since), table[0][1:])


def check_file(facts: Mapping[str, Any], path: Path) -> None:
    """Refuse an ONNX file that a device's runtime cannot read; see :func:`check`. What is none, the runtime will tell."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        network = onnx.load(path, load_external_data=False)
    except DecodeError:
        return
    pairs = any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in network.graph.node)
    if pairs and (known := newest(facts)) and known[0] < FIRST_WITH_PAIRS:
        if facts["runtime"] == "tensorrt":
            return  # the build skips it and says why
        raise DeviceError(
            f"int8 needs opset {FIRST_WITH_PAIRS}, and {RUNTIMES[facts['runtime']][0]} {facts['runtime_version']} reads up "
            f"to opset {known[0]}; take int8 out of precisions, or a newer one for the device"
        )
    check(facts, opset_of(network), network.ir_version)


def _number(facts: Mapping[str, Any]) -> Version | None:
    found = re.match(r"\d+(\.\d+)*", str(facts.get("runtime_version")))
    return tuple(int(part) for part in found[0].split(".")) if found else None


def check(facts: Mapping[str, Any], opset: int, ir_version: int) -> None:
    """Refuse a network that a device's runtime cannot read.

    Args:
        facts: of the device: ``runtime`` and ``runtime_version``.
        opset: operator set of the network.
        ir_version: of the ONNX file.

    Raises:
        DeviceError: names the operator set to export with instead.
    """
    known = newest(facts)
    if known is None:
        return
    highest, highest_ir = known
    runtime, remedy = f"{RUNTIMES[facts['runtime']][0]} {facts['runtime_version']}", f"set export.opset: {highest}"
    if opset > highest:
        raise DeviceError(f"export.opset = {opset}: {runtime} reads up to opset {highest}; {remedy}")
    if highest_ir is not None and ir_version > highest_ir:
        raise DeviceError(
            f"export.opset = {opset}: {runtime} reads ONNX files up to IR version {highest_ir}, and this one has "
            f"{ir_version}; {remedy} or lower, and export again"
        )
