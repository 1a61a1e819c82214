"""ONNX Runtime in a device's Python.

The memory layout is part of the optimisation, and quantised networks keep their integer kernels: Q/DQ pairs are merged into
QLinearConv and its like before the graph is saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from remote.python.runtime import Package, PythonRuntime
from remote.runtimes.onnxruntime import ROOM
from remote.transport import Transport

PACKAGE = Package(
    runtime="onnxruntime",
    title=ROOM.title,
    part=Path(__file__).with_name("onboard.py"),
    needs=("numpy", "onnxruntime"),
    environment="python",
    flags={"graph_optimization": "all"},
)


def opened(link: Transport, options: Mapping[str, Any]) -> PythonRuntime:
    """The runtime of a device."""
    return PythonRuntime(link, options, PACKAGE)
