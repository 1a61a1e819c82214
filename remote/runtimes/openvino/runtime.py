"""OpenVINO in a device's Python, on x86 and ARM.

It reads ONNX files by itself and fuses Q/DQ pairs into integer kernels when it compiles a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from remote.python.runtime import Package, PythonRuntime
from remote.runtimes.openvino import ROOM
from remote.transport import Transport

PACKAGE = Package(
    runtime="openvino",
    title=ROOM.title,
    part=Path(__file__).with_name("onboard.py"),
    needs=("numpy", "openvino"),
    environment="python-openvino",
    engine="engine.blob",
)


def opened(link: Transport, options: Mapping[str, Any]) -> PythonRuntime:
    """The runtime of a device."""
    return PythonRuntime(link, options, PACKAGE)
