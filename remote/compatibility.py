"""Check which ONNX files a device's runtime reads, by its version, before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from remote import runtimes
from remote.errors import DeviceError
from remote.runtimes.room import Reads, Version

FIRST_WITH_PAIRS = 13  # files in int8 have at least this operator set, whatever export.opset is


def opset_of(network: Any) -> int:
    """The operator set of ONNX itself in an ``onnx.ModelProto``; 0 if it names none."""
    return max((entry.version for entry in network.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def newest(facts: Mapping[str, Any]) -> tuple[int, int | None] | None:
    """The highest operator set and IR version that a device's runtime reads; None if they are unknown.

    An IR version of None allows any that goes with such an operator set.

    Args:
        facts: of the device: ``runtime`` and ``runtime_version``.
    """
    reads, number = _reads(facts), _number(facts)
    if reads is None or number is None or number >= reads.unknown:
        return None
    # A version older than the table reads no more than the first row says.
    return next(((opset, ir) for since, opset, ir in reversed(reads.rows) if number >= since), reads.rows[0][1:])


def check_file(facts: Mapping[str, Any], path: Path) -> None:
    """Refuse an ONNX file that a device's runtime cannot read; see :func:`check`. The runtime itself refuses other files."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        network = onnx.load(path, load_external_data=False)
    except DecodeError:
        return
    pairs = any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in network.graph.node)
    if pairs and (limits := newest(facts)) and limits[0] < FIRST_WITH_PAIRS:
        if (reads := _reads(facts)) and reads.build_skips_pairs:
            return
        raise DeviceError(
            f"int8 needs opset {FIRST_WITH_PAIRS}, and {_in_print(facts)} reads up to opset {limits[0]}; take int8 out of "
            "precisions, or a newer one for the device"
        )
    check(facts, opset_of(network), network.ir_version)


def _reads(facts: Mapping[str, Any]) -> Reads | None:
    runtime = facts.get("runtime")
    return runtimes.room_of(runtime).reads if runtime in runtimes.names() else None


def _in_print(facts: Mapping[str, Any]) -> str:
    return f"{runtimes.room_of(facts['runtime']).title} {facts['runtime_version']}"


def _number(facts: Mapping[str, Any]) -> Version | None:
    match = re.match(r"\d+(\.\d+)*", str(facts.get("runtime_version")))
    return tuple(int(part) for part in match[0].split(".")) if match else None


def check(facts: Mapping[str, Any], opset: int, ir_version: int) -> None:
    """Refuse a network that a device's runtime cannot read.

    Args:
        facts: of the device: ``runtime`` and ``runtime_version``.
        opset: operator set of the network.
        ir_version: of the ONNX file.

    Raises:
        DeviceError: the runtime cannot read it; the message names the operator set to export with instead.
    """
    limits = newest(facts)
    if limits is None:
        return
    highest, highest_ir = limits
    runtime, remedy = _in_print(facts), f"set export.opset: {highest}"
    if opset > highest:
        raise DeviceError(f"export.opset = {opset}: {runtime} reads up to opset {highest}; {remedy}")
    if highest_ir is not None and ir_version > highest_ir:
        raise DeviceError(
            f"export.opset = {opset}: {runtime} reads ONNX files up to IR version {highest_ir}, and this one has "
            f"{ir_version}; {remedy} or lower, and export again"
        )
