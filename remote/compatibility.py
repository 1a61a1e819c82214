"""Which ONNX files a device's runtime reads, by its version: told before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from remote import runtimes
from remote.errors import DeviceError
from remote.runtimes.room import Reads, Version

FIRST_WITH_PAIRS = 13  # the operator set that int8 is written in at least, whatever export.opset is


def opset_of(network: Any) -> int:
    """The operator set of ONNX itself that an ``onnx.ModelProto`` is written in; 0 if it names none."""
    return max((each.version for each in network.opset_import if each.domain in ("", "ai.onnx")), default=0)


def newest(facts: Mapping[str, Any]) -> tuple[int, int | None] | None:
    """The highest operator set and IR version that a device's runtime reads; None if that is not known.

    An IR version of None is any that goes with such an operator set.

    Args:
        facts: of the device: ``runtime`` and ``runtime_version``.
    """
    reads, number = _reads(facts), _number(facts)
    if reads is None or number is None or number >= reads.unknown:
        return None
    # What is older than the table reads no more than its first row.
    return next(((opset, ir) for since, opset, ir in reversed(reads.rows) if number >= since), reads.rows[0][1:])


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
        if (reads := _reads(facts)) and reads.build_skips_pairs:
            return
        raise DeviceError(
            f"int8 needs opset {FIRST_WITH_PAIRS}, and {_in_print(facts)} reads up to opset {known[0]}; take int8 out of "
            "precisions, or a newer one for the device"
        )
    check(facts, opset_of(network), network.ir_version)


def _reads(facts: Mapping[str, Any]) -> Reads | None:
    runtime = facts.get("runtime")
    return runtimes.room_of(runtime).reads if runtime in runtimes.names() else None


def _in_print(facts: Mapping[str, Any]) -> str:
    return f"{runtimes.room_of(facts['runtime']).title} {facts['runtime_version']}"


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
    runtime, remedy = _in_print(facts), f"set export.opset: {highest}"
    if opset > highest:
        raise DeviceError(f"export.opset = {opset}: {runtime} reads up to opset {highest}; {remedy}")
    if highest_ir is not None and ir_version > highest_ir:
        raise DeviceError(
            f"export.opset = {opset}: {runtime} reads ONNX files up to IR version {highest_ir}, and this one has "
            f"{ir_version}; {remedy} or lower, and export again"
        )
