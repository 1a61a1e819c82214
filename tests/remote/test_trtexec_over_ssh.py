"""What can go wrong with trtexec on a simulated Jetson behind a real SSH server. TensorRT itself is not exercised here."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from remote.errors import DeviceError, LinkLost
from remote.runtimes.tensorrt import TensorRT
from remote.transport import connect
from tests.jetson_sim.jetson import Jetson
from tests.remote.played import build
from tests.ssh_server import Server, through

FAULTS = {
    "crash": "trtexec crashed (signal 11)",
    "killed": "trtexec was killed (signal 9), most likely because memory ran out",
    "hang": "trtexec hung: it was ended after 2 s",
    "oom": "out of memory: ",
    "failed": "Could not find any implementation for node Conv_0",
    "full-disk": "No space left on device",
}


@pytest.fixture
def board(tmp_path: Path) -> Jetson:
    return Jetson(tmp_path / "root", "orin-nano")


@pytest.fixture
def server(board: Jetson, servers: Callable[..., Server]) -> Server:
    return servers("orin-nano", GAITPRESS_SIMULATED_ROOT=str(board.root))


def test_each_fault_is_a_reason_and_the_next_build_is_as_if_nothing_had_been(
    board: Jetson, server: Server, tmp_path: Path
) -> None:
    with connect("orin", server.address) as link:
        runtime = TensorRT(link, {"python": sys.executable}, longest_s=2.0)
        for fault, reason in FAULTS.items():
            board.fault = fault
            described, _, engine = build(runtime, tmp_path, name=fault)
            assert described["status"] == "failed"
            assert reason in described["reason"]
            assert [path.name for path in engine.iterdir()] == ["build.json"]
    board.fault = None
    with connect("orin", server.address) as link:
        assert build(TensorRT(link, {"python": sys.executable}), tmp_path, name="mended")[0]["status"] == "ok"
    assert [path.suffix for path in sorted((server.home / "engines").iterdir())] == [".plan", ".json", ".cache"]


def test_a_missing_trtexec_is_told_with_the_remedy(board: Jetson, server: Server) -> None:
    (board.root / "usr/src/tensorrt/bin/trtexec").unlink()
    said = pytest.raises(DeviceError, match=r"orin: no trtexec at .*libnvinfer-bin")
    with connect("orin", server.address) as link, said:
        TensorRT(link, {"python": sys.executable}).facts()


def test_a_link_that_is_cut_while_trtexec_builds_ends_it_there_and_is_no_result(
    board: Jetson, server: Server, tmp_path: Path
) -> None:
    proxy, address = through(server, [])
    board.fault = "hang"

    def building(line: str) -> None:
        if "Device Information" in line:
            proxy.cut()

    with connect("orin", address) as link:
        runtime = TensorRT(link, {"python": sys.executable})
        with pytest.MonkeyPatch.context() as patch, pytest.raises(LinkLost):
            patch.setattr("remote.runtimes.tensorrt._show", building)
            build(runtime, tmp_path)
        assert not (tmp_path / "engine/build.json").exists()
        end = time.monotonic() + 20
        while builds() and time.monotonic() < end:
            time.sleep(0.1)
        assert not builds()
        board.fault = None
        assert build(runtime, tmp_path)[0]["status"] == "ok"
    proxy.close()


def builds() -> list[Path]:
    """Processes of trtexec that build."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"tests.jetson_sim.tools.trtexec\0--onnx" in entry.read_bytes():
                found.append(entry)
        except OSError:
            continue
    return found
