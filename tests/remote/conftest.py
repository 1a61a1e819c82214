from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from remote.runtimes.tensorrt.runtime import TensorRT
from remote.transport.local import LocalTransport
from simulator.jetson import Jetson
from tests.support.played import Start, play


@pytest.fixture
def jetson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Jetson:
    """A simulated Jetson Nano; this process and its children take it for their computer."""
    return play(tmp_path, monkeypatch, "nano")


@pytest.fixture
def start() -> Iterator[Start]:
    """Makes runtimes of this computer as a device."""
    opened = []

    def make(longest_s: float = 60.0, **options: object) -> TensorRT:
        transport = LocalTransport("board")
        opened.append(transport)
        return TensorRT(transport, {"python": sys.executable, **options}, longest_s)

    yield make
    for transport in opened:
        transport.__exit__()
