"""Ask our program on a board for its facts, those of TensorRT among them, and for the outputs of engines."""

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

ONBOARD = "remote/runtimes/tensorrt/onboard"  # the part of the program for the board that belongs to TensorRT


def look(board: Board, trtexec: str | None = None) -> dict[str, Any]:
    """The facts that engines on the board depend on; no values that change.

    Args:
        board: the board.
        trtexec: the path of trtexec; by default this looks at its usual places.

    Raises:
        DeviceError: there is no trtexec, it does not run, or its version is not supported; the message says what to do.
    """
    texts = board.ask("facts", {"trtexec": trtexec})
    if not texts["trtexec"]:
        raise DeviceError(
            f"{board.transport.name}: no trtexec at {', '.join(texts['looked_for'])}; install TensorRT's samples "
            "(`sudo apt install libnvinfer-bin`), or name its place: the device's option `trtexec`"
        )
    banner = log.parse(texts["trtexec_says"])
    l4t = release.l4t(texts["release"])
    number = banner.version
    if banner.command and number is None:  # in TensorRT 7 and older: "&&&& RUNNING TensorRT.trtexec # ..."
        number = _of_libraries(texts["libraries"])
        system = f"L4T {l4t}" + (f", JetPack {name}" if (name := release.jetpack(l4t)) else "")
        if number is None:
            raise DeviceError(
                f"{board.transport.name} ({system}): nothing says which TensorRT this is: trtexec does not, and "
                "no libnvinfer.so under /usr/lib has its version; install TensorRT's libraries (JetPack's libnvinfer7)"
            )
        if number < command.OLDEST:
            raise DeviceError(f"{board.transport.name} ({system}): {command.TOO_OLD}")
    if number is None:
        lines = texts["trtexec_says"].strip().splitlines()
        raise DeviceError(
            f"{board.transport.name}: {texts['trtexec']} does not run (status {texts['trtexec_code']}): "
            f"{lines[-1] if lines else 'it said nothing'}"
        )
    version = ".".join(map(str, number))
    if not command.supported(number):
        raise DeviceError(f"{board.transport.name}: TensorRT {version}; {command.SUPPORTED}")
    return {
        **describe(texts),
        "runtime": "tensorrt",
        "runtime_version": version if banner.build is None else f"{version}.{banner.build}",
        "trtexec": texts["trtexec"],
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
    """The version of a TensorRT whose trtexec prints none, by the names of its libraries, such as libnvinfer.so.7.1.3."""
    matches = [re.fullmatch(r"libnvinfer\.so\.(\d+)\.(\d+)\.(\d+)", name) for name in names]
    versions = [(int(match[1]), int(match[2]), int(match[3])) for match in matches if match]
    return max((version for version in versions if version[0] < 8), default=None)
