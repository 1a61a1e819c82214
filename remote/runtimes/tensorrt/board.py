"""TensorRT on a board, asked through our program there: which it is, and the outputs of its engines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from remote.connection import stream
from remote.errors import DeviceError, EngineFailed
from remote.inputs import Sender, groups
from remote.jetson import release
from remote.jetson.board import Board, describe
from remote.runtimes.tensorrt.trtexec import command, log

ONBOARD = "remote/runtimes/tensorrt/onboard"  # what is ours in the program for the board


def look(board: Board, trtexec: str | None = None) -> dict[str, Any]:
    """What engines on the board depend on; nothing that moves.

    Args:
        board: which it is.
        trtexec: where trtexec is; by default at its usual places.

    Raises:
        DeviceError: there is no trtexec, it does not run, or its version is not supported; says what to do.
    """
    told = board.ask("facts", {"trtexec": trtexec})
    if not told["trtexec"]:
        raise DeviceError(
            f"{board.transport.name}: no trtexec at {', '.join(told['looked_for'])}; install TensorRT's samples "
            "(`sudo apt install libnvinfer-bin`), or name its place: the device's option `trtexec`"
        )
    banner = log.parse(told["trtexec_says"])
    l4t = release.l4t(told["release"])
    number = banner.version
    if banner.command and number is None:  # in TensorRT 7 and older: "&&&& RUNNING TensorRT.trtexec # ..."
        number = _of_libraries(told["libraries"])
        told_by = f"L4T {l4t}" + (f", JetPack {name}" if (name := release.jetpack(l4t)) else "")
        if number is None:
            raise DeviceError(
                f"{board.transport.name} ({told_by}): which TensorRT this is cannot be told: trtexec does not say, and "
                "no libnvinfer.so under /usr/lib has its version; install TensorRT's libraries (JetPack's libnvinfer7)"
            )
        if number < command.OLDEST:
            raise DeviceError(f"{board.transport.name} ({told_by}): {command.TOO_OLD}")
    if number is None:
        said = told["trtexec_says"].strip().splitlines()
        raise DeviceError(
            f"{board.transport.name}: {told['trtexec']} does not run (status {told['trtexec_code']}): "
            f"{said[-1] if said else 'it said nothing'}"
        )
    version = ".".join(map(str, number))
    if not command.supported(number):
        raise DeviceError(f"{board.transport.name}: TensorRT {version}; {command.SUPPORTED}")
    return {
        **describe(told),
        "runtime": "tensorrt",
        "runtime_version": version if banner.build is None else f"{version}.{banner.build}",
        "trtexec": told["trtexec"],
    }


def infer(board: Board, request: Mapping[str, Any], inputs: Iterable[np.ndarray]) -> list[np.ndarray]:
    """An engine's first output for each input, float32; see remote/runtimes/tensorrt/onboard/infer.py for the request.

    Raises:
        EngineFailed: the engine cannot be loaded, refuses an input or breaks.
    """
    process, transport = board.start("infer", request), board.transport
    try:
        return stream(transport, process, groups(transport, inputs), Sender(transport))
    except EngineFailed as error:
        raise EngineFailed(log.parse(str(error)).reason or str(error).strip().splitlines()[-1]) from None


def _of_libraries(names: Iterable[str]) -> tuple[int, int, int] | None:
    """The version of a TensorRT whose trtexec tells none, of the names of its libraries: libnvinfer.so.7.1.3 is of 7.1.3."""
    found = [re.fullmatch(r"libnvinfer\.so\.(\d+)\.(\d+)\.(\d+)", name) for name in names]
    versions = [(int(each[1]), int(each[2]), int(each[3])) for each in found if each]
    return max((version for version in versions if version[0] < 8), default=None)
