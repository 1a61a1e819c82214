"""ONNX Runtime in a device's Python.

The optimisation includes the memory layout. Quantised networks keep their integer kernels: ONNX Runtime merges Q/DQ pairs
into operators such as QLinearConv before it saves the graph.
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
