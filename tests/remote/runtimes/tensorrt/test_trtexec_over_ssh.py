"""Failures of trtexec on a simulated Jetson behind a real SSH server. TensorRT itself does not run here."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from remote import compatibility
from remote.errors import DeviceError, LinkLost
from remote.runtimes.tensorrt import runtime as tensorrt
from remote.runtimes.tensorrt.runtime import TensorRT
from remote.transport import connect
from simulator.jetson import Jetson
from simulator.ssh_server import Server, through
from tests.remote.runtimes.tensorrt.test_trtexec_command import quantized
from tests.support.onnx_files import in_half
from tests.support.played import EXAMPLE, SETTINGS, build, matrices, network

FAULTS = {
    "crash": "trtexec crashed (signal 11)",
    "killed": "trtexec was killed (signal 9), most likely because memory ran out",
    "hang": "trtexec hung: it was ended after 2 s",
    "oom": "out of memory: ",
    "failed": "Could not find any implementation for node Conv_0",
}


@pytest.fixture
def board(tmp_path: Path) -> Jetson:
    return Jetson(tmp_path / "root", "orin-nano")


@pytest.fixture
def server(board: Jetson, servers: Callable[..., Server]) -> Server:
    return servers("orin-nano", GAITPRESS_SIMULATED_ROOT=str(board.root))


@pytest.mark.slow
def test_each_fault_has_a_reason_and_does_not_change_the_next_build(board: Jetson, server: Server, tmp_path: Path) -> None:
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


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nano-7", "agx-thor-11"])
def test_the_oldest_and_the_newest_tensorrt_build_run_and_measure_their_precisions(
    kind: str, tmp_path: Path, servers: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By published texts and options: no board with either version has run this."""
    monkeypatch.setattr(tensorrt, "IDLE_S", 0.3)
    monkeypatch.setattr(tensorrt, "ENERGY_S", 1.0)
    board = Jetson(tmp_path / "root", kind)
    server = servers(kind, GAITPRESS_SIMULATED_ROOT=str(board.root))
    old = kind == "nano-7"
    plain = network(tmp_path / "fp32.onnx", opset=11 if old else 13)
    half = in_half(plain, tmp_path / "fp16.onnx")
    pairs = quantized(tmp_path / "int8.onnx", TensorProto.INT8)
    with connect(kind, server.address) as link:
        runtime = TensorRT(link, {"python": sys.executable})
        assert runtime.facts()["runtime_version"] == ("7.1.3" if old else "11.4.1.1")
        built = {}
        for file in (plain, half, pairs):
            compatibility.check_file(runtime.facts(), file)
            out = tmp_path / file.stem
            out.mkdir()
            built[file.stem] = runtime.build(file, out, file.stem, 1, (2, 4), 8)
        ok = ("ok", None)
        assert (built["fp32"]["status"], built["fp32"]["reason"]) == ok
        assert (built["fp16"]["status"], built["fp16"]["reason"]) == ok
        inputs = [EXAMPLE]
        [exact], [rounded] = (runtime.run(tmp_path / name, inputs, 1) for name in ("fp32", "fp16"))
        np.testing.assert_allclose(exact, EXAMPLE @ np.linalg.multi_dot(matrices(0)), rtol=1e-4, atol=1e-5)
        assert 1e-5 < np.abs(exact - rounded).max() < 1e-2
        timing = runtime.benchmark(tmp_path / "fp16", EXAMPLE, SETTINGS)
        assert timing.latency_ms["queries"] >= 30
        assert timing.energy
        calls = [set(call.split()) for call in board.calls if "--loadEngine" in call]
    if old:
        assert built["int8"]["status"] == "skipped"
        assert "no INT8 hardware" in built["int8"]["reason"]
        assert [repeat["throughput_qps"] for repeat in timing.repeats] == [None] * SETTINGS.repeats
        assert timing.repeats[0]["enqueue_p50"] > 0
        assert timing.protocol["transfers"].startswith("this TensorRT copies")
        assert all("--explicitBatch" in call and "--noDataTransfers" not in call for call in calls)
    else:
        assert (built["int8"]["status"], built["int8"]["reason"]) == ok
        shapes = ["--minShapes=x:1x4", "--optShapes=x:2x4", "--maxShapes=x:8x4"]
        flags = {name: build_record["flags"]["arguments"] for name, build_record in built.items()}
        assert flags == {"fp32": ["--noTF32", *shapes], "fp16": shapes, "int8": []}
        assert all("--noCudaGraph" in call for call in calls)
        assert 0 < sum("--includeDataTransfers" in call for call in calls) < len(calls)
    # What this version has no option for, its trtexec refuses.
    unknown = "--noDataTransfers" if old else "--fp16"
    refused = subprocess.run(
        [board.root / "usr/src/tensorrt/bin/trtexec", f"--onnx={plain}", unknown],
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert f"Unknown option: {unknown}" in refused.stderr
    assert refused.stdout.startswith(
        "&&&& RUNNING TensorRT.trtexec #" if old else "&&&& RUNNING TensorRT.trtexec [TensorRT v110401] [b1]"
    )


def test_a_network_that_tensorrt_7_refuses_has_a_record_with_its_words(
    tmp_path: Path, servers: Callable[..., Server]
) -> None:
    board = Jetson(tmp_path / "root", "nano-7")
    server = servers("nano-7", GAITPRESS_SIMULATED_ROOT=str(board.root))
    with connect("nano-7", server.address) as link, pytest.MonkeyPatch.context() as patch:
        patch.setattr("remote.runtimes.tensorrt.trtexec.preflight.available", lambda: None)  # which would tell both
        runtime = TensorRT(link, {"python": sys.executable})
        newer_operator, _, _ = build(runtime, tmp_path, opset=11, op="Einsum")
        assert newer_operator["status"] == "failed"
        assert "Einsum, which TensorRT has from 8.2 on" in newer_operator["reason"]
        assert not any("--onnx" in call for call in board.calls)
        unknown_operator, _, _ = build(runtime, tmp_path, opset=11, op="Teleport", name="unknown")
        assert unknown_operator["status"] == "failed"
        assert unknown_operator["reason"].startswith("[8] ")
        assert "Teleport" in unknown_operator["reason"] or "Plugin not found" in unknown_operator["reason"]
        newer = network(tmp_path / "newer.onnx", opset=13)
        with pytest.raises(
            DeviceError, match=r"export.opset = 13: TensorRT 7.1.3 reads up to opset 11; set export.opset: 11"
        ):
            compatibility.check_file(runtime.facts(), newer)


def test_a_missing_trtexec_is_reported_with_the_remedy(board: Jetson, server: Server) -> None:
    (board.root / "usr/src/tensorrt/bin/trtexec").unlink()
    refused = pytest.raises(DeviceError, match=r"orin: no trtexec at .*libnvinfer-bin")
    with connect("orin", server.address) as link, refused:
        TensorRT(link, {"python": sys.executable}).facts()


def test_a_link_that_is_cut_during_a_build_ends_trtexec_there_and_is_no_result(
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
            patch.setattr("remote.runtimes.tensorrt.runtime._show", building)
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
    """The processes of trtexec that build."""
    entries = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"simulator.tools.trtexec\0--onnx" in entry.read_bytes():
                entries.append(entry)
        except OSError:
            continue
    return entries
