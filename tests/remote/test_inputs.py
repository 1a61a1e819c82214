"""Inputs on their way to a device behind a real SSH server."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from remote import inputs
from remote.connection import Agent
from remote.lock import held
from remote.python.runtime import AGENT, MAX_PROCESSES_FAR
from remote.runtimes.onnxruntime.runtime import PACKAGE
from remote.transport import connect
from simulator.ssh_server import Server, through
from tests.support.onnx_files import linear, weights
from tests.support.small_disk import mounted

RNG = np.random.default_rng(3)
GIVEN = [RNG.standard_normal((rows, 4)).astype(np.float32) for rows in (1, 30_000, 3, 20_000, 2, 40_000, 7)]


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "PACK_BYTES", 400_000)


def outputs(address: str, engine: Path, processes: int = 2) -> list[np.ndarray]:
    with connect("nano", address) as link:
        agent = Agent(link, sys.executable)
        words = ["--part", link.place(PACKAGE.part), "run", "--engine", link.place(engine)]
        return agent.stream(AGENT, words, 1, iter(GIVEN), processes)


def right(outputs: list[np.ndarray]) -> bool:
    return all(
        np.allclose(output, given @ weights(), rtol=1e-5, atol=1e-6) for given, output in zip(GIVEN, outputs, strict=True)
    )


def test_inputs_are_sent_once(server: Server, tmp_path: Path) -> None:
    engine = linear(tmp_path / "engine.onnx")
    proxy, address = through(server, [])
    assert right(outputs(address, engine))
    first = proxy.up
    assert first > 1_000_000
    assert right(outputs(address, engine, 1))
    assert proxy.up - first < 50_000
    proxy.close()


def test_inputs_that_a_device_should_not_keep_are_sent_too(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "KEEP_BYTES", 600_000)
    assert right(outputs(server.address, linear(tmp_path / "engine.onnx")))
    kept = [path.stat().st_size for path in (server.home / "files").iterdir()]
    assert 0 < sum(size for size in kept if size > 100_000) <= 600_000


def test_a_device_with_a_full_disk_answers_inputs_that_it_cannot_keep(
    server: Server, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    server.cache.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", server.cache]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        assert right(outputs(server.address, linear(tmp_path / "engine.onnx")))
        assert "No space left on device; inputs are sent without being kept there" in capfd.readouterr().err
        assert not list(server.home.rglob("*.part"))
    finally:
        subprocess.run(["umount", "-l", server.cache], check=True)


def test_a_full_disk_for_temporary_files_here_stops_no_inputs(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    with mounted(tmp_path / "disk", 1 << 20) as disk, connect("nano", server.address) as link:
        monkeypatch.setattr(tempfile, "tempdir", str(disk.where))
        disk.leave(0)
        group = [np.zeros((2, 4), np.float32)]
        message = inputs.Sender(link).message(group)
    assert b'"packed"' in message
    assert f"{disk.where}: No space left on device; inputs are sent without being kept there" in capfd.readouterr().err


def test_as_many_processes_as_a_runtime_starts_fit_in_an_ssh_servers_usual_limit(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(inputs, "PACK_BYTES", 1)
    engine = linear(tmp_path / "engine.onnx")
    given = [RNG.standard_normal((2, 4)).astype(np.float32) for _ in range(40)]
    with connect("nano", server.address) as link, held(link, "a job"):
        agent = Agent(link, sys.executable)
        words = ["--part", link.place(PACKAGE.part), "run", "--engine", link.place(engine)]
        answers = agent.stream(AGENT, words, 1, iter(given), MAX_PROCESSES_FAR)
    assert all(
        np.allclose(answer, one @ weights(), rtol=1e-5, atol=1e-6) for answer, one in zip(answers, given, strict=True)
    )
    assert capfd.readouterr().err == ""


def test_inputs_are_packed_the_same_way_every_time(client: Path) -> None:
    with connect("nano", "ssh://nano") as link:
        packed = [[len(group) for group in inputs.groups(link, iter(GIVEN))] for _ in range(2)]
    assert packed[0] == packed[1] == [2, 4, 1]
