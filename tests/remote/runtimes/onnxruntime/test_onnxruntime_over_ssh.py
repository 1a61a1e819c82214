"""ONNX Runtime on a device behind a real SSH server; its Python is this one, so nothing is installed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from remote.benchmark import BenchmarkSettings
from remote.errors import DeviceError, EngineFailed, LinkLost, StaleEngine
from remote.inventory import Device
from remote.runtimes import Runtime, runtime_on
from remote.runtimes.onnxruntime.runtime import opened
from remote.transport.local import LocalTransport
from simulator.ssh_server import Server
from tests.support.onnx_files import linear, weights, wide
from tests.support.small_disk import mounted

SETTINGS = BenchmarkSettings(
    batch=2, threads=1, warmup_s=0.0, duration_s=0.05, min_queries=30, repeats=2, max_cov=1e9, session=1
)


def device(server: Server, python: str = sys.executable) -> Device:
    return Device("nano", server.address, "onnxruntime", {"python": python})


@pytest.fixture
def runtime(server: Server) -> Iterator[Runtime]:
    with runtime_on(device(server), "a test") as opened:
        yield opened


@pytest.fixture
def built(tmp_path: Path, runtime: Runtime) -> tuple[Path, Path]:
    onnx, engine = linear(tmp_path / "model.onnx"), tmp_path / "engine"
    engine.mkdir()
    assert runtime.build(onnx, engine, "fp32", 1)["status"] == "ok"
    return onnx, engine


def test_a_device_has_the_same_facts_over_ssh(runtime: Runtime, built: tuple[Path, Path], tmp_path: Path) -> None:
    again = tmp_path / "again"
    again.mkdir()
    with LocalTransport() as link:
        here = opened(link, {})
        assert runtime.facts() == here.facts()
        described = here.check(built[1], built[0])
        assert here.build(built[0], again, "fp32", 1)["key"] == described["key"]
    assert sorted(entry.name for entry in built[1].iterdir()) == ["build.json", "engine.onnx"]


def test_outputs_come_back_in_order(runtime: Runtime, built: tuple[Path, Path]) -> None:
    rng = np.random.default_rng(1)
    inputs = [rng.standard_normal((rows, 4)).astype(np.float32) for rows in (1, 50_000, 3, 20_000, 2)]
    for given, output in zip(inputs, runtime.run(built[1], iter(inputs), 1), strict=True):
        np.testing.assert_allclose(output, given @ weights(), rtol=1e-5, atol=1e-6)


def test_an_engine_is_measured_and_its_files_are_there_once(
    runtime: Runtime, built: tuple[Path, Path], server: Server
) -> None:
    timing = runtime.benchmark(built[1], np.ones((2, 4), np.float32), SETTINGS)
    assert timing.latency_ms["queries"] >= 30
    assert "load_before" in timing.conditions
    # The agent's two scripts and the runtime's part, the lock's, the sensors' program, the network, engine and example.
    assert len(list((server.home / "files").iterdir())) == 8


def test_an_input_that_the_engine_refuses_is_the_engines_failure(
    runtime: Runtime, built: tuple[Path, Path], server: Server
) -> None:
    with pytest.raises(EngineFailed) as raised:
        runtime.benchmark(built[1], np.ones((2, 9), np.float32), SETTINGS)
    assert str(server.home) not in str(raised.value)
    with pytest.raises(EngineFailed):
        runtime.run(built[1], (np.ones((9, 9)) for _ in range(2000)), 1)


def test_a_network_that_is_refused_is_a_result_without_paths_of_the_device(
    runtime: Runtime, server: Server, tmp_path: Path
) -> None:
    engine = tmp_path / "engine"
    engine.mkdir()
    described = runtime.build(linear(tmp_path / "model.onnx", op="Teleport"), engine, "fp32", 1)
    assert (described["status"], [entry.name for entry in engine.iterdir()]) == ("failed", ["build.json"])
    assert "Teleport" in described["reason"]
    assert str(server.home) not in described["reason"]


def test_only_the_engine_that_was_built_is_sent(runtime: Runtime, built: tuple[Path, Path], server: Server) -> None:
    before = len(list((server.home / "files").iterdir()))
    linear(built[1] / "engine.onnx", seed=5)
    with pytest.raises(StaleEngine):
        runtime.run(built[1], [np.ones((1, 4))], 1)
    assert len(list((server.home / "files").iterdir())) == before


def test_a_copy_that_was_changed_on_the_device_is_never_loaded(built: tuple[Path, Path], server: Server) -> None:
    for copy in (server.home / "files").iterdir():
        if copy.read_bytes() == (built[1] / "engine.onnx").read_bytes():
            copy.write_bytes(b"another engine")
    with runtime_on(device(server)) as again:
        [output] = again.run(built[1], [np.ones((1, 4))], 1)
    np.testing.assert_allclose(output, np.ones((1, 4)) @ weights(), rtol=1e-5)


def test_a_server_that_dies_while_it_measures_is_no_result_of_the_engine(
    runtime: Runtime, built: tuple[Path, Path], server: Server
) -> None:
    long = BenchmarkSettings(**{**SETTINGS.__dict__, "duration_s": 30.0})
    threading.Timer(1.5, server.kill).start()
    with pytest.raises(LinkLost, match="nano: the connection was lost"):
        runtime.benchmark(built[1], np.ones((2, 4), np.float32), long)
    end = time.monotonic() + 15
    while server.agents("benchmark") and time.monotonic() < end:
        time.sleep(0.1)
    assert not server.agents("benchmark")


def test_a_device_that_boots_as_another_is_probed_again(
    runtime: Runtime, built: tuple[Path, Path], server: Server, tmp_path: Path
) -> None:
    root = tmp_path / "played"
    (root / "proc/device-tree").mkdir(parents=True)
    (root / "proc/device-tree/model").write_bytes(b"NVIDIA Jetson Nano Developer Kit\0")
    server.kill()
    server.env["GAITPRESS_SIMULATED_ROOT"] = str(root)
    server.start()
    with pytest.raises(StaleEngine, match="board: None -> NVIDIA Jetson Nano Developer Kit"):
        runtime.run(built[1], [np.ones((1, 4))], 1)


def test_a_measurement_that_is_ended_from_outside_is_no_result(
    runtime: Runtime, built: tuple[Path, Path], server: Server
) -> None:
    def end() -> None:
        while not (processes := server.agents("benchmark")):
            time.sleep(0.05)
        for process in processes:
            os.kill(process, signal.SIGTERM)

    threading.Thread(target=end).start()
    long = BenchmarkSettings(**{**SETTINGS.__dict__, "duration_s": 30.0})
    with pytest.raises(DeviceError, match="ended from outside") as raised:
        runtime.benchmark(built[1], np.ones((2, 4), np.float32), long)
    assert not isinstance(raised.value, EngineFailed)


def test_a_python_without_the_packages_is_reported(server: Server) -> None:
    with runtime_on(device(server, "/usr/bin/python3")) as runtime:
        if runtime.link.run(["/usr/bin/python3", "-c", "import onnxruntime"]).code == 0:  # type: ignore[attr-defined]
            pytest.skip("the system's Python has onnxruntime")
        with pytest.raises(
            DeviceError, match=r"nano: /usr/bin/python3 cannot be used: .*No module named .*pip install numpy"
        ):
            runtime.facts()


@pytest.mark.slow
def test_a_job_costs_little_more_over_ssh(server: Server, tmp_path: Path) -> None:
    """Build and benchmark twice each way, and compare the faster ones: the difference is the time of SSH."""
    onnx = linear(tmp_path / "model.onnx")

    def job(where: Device, folder: Path) -> float:
        folder.mkdir()
        begun = time.monotonic()
        with runtime_on(where, "a build") as runtime:
            runtime.build(onnx, folder, "fp32", 1)
        with runtime_on(where, "a benchmark") as runtime:
            runtime.benchmark(folder, np.ones((2, 4), np.float32), SETTINGS)
            runtime.run(folder, [np.ones((2, 4), np.float32)] * 100, 1)
        return time.monotonic() - begun

    here = min(job(Device("local"), tmp_path / f"here{turn}") for turn in range(2))
    there = min(job(device(server), tmp_path / f"there{turn}") for turn in range(2))
    print(f"here {here:.2f} s, over SSH {there:.2f} s")
    assert there - here < 3


def test_a_network_for_whose_engine_a_disk_has_no_room_is_no_failed_build(server: Server, tmp_path: Path) -> None:
    onnx, engine = wide(tmp_path / "model.onnx"), tmp_path / "engine"
    engine.mkdir()
    with mounted(server.home, 6 << 20) as disk:
        with runtime_on(device(server)) as runtime:
            with pytest.raises(DeviceError, match=r"nano: no room on its disk for an engine of about 4\.2 MB at ") as raised:
                runtime.build(onnx, engine, "fp32", 1)
            assert "make room there, and run again" in str(raised.value)
            assert not isinstance(raised.value, EngineFailed)
            assert list(engine.iterdir()) == []
        subprocess.run(["mount", "-o", "remount,size=20m", disk.where], check=True)
        with runtime_on(device(server)) as runtime:
            assert runtime.build(onnx, engine, "fp32", 1)["status"] == "ok"
