"""Habits of boards and users: a Python that greets, folders with names of any kind, files with line ends of Windows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from remote.inventory import Device
from remote.python import interpreter
from remote.runtimes import runtime_on
from remote.runtimes.tensorrt import runtime as tensorrt
from remote.transport import connect
from simulator.jetson import Jetson
from simulator.ssh_server import Server
from stages.probe import probe
from tests.support.device_world import World
from tests.support.played import EXAMPLE, SETTINGS, build


def whole_work(where: Path, address: str) -> None:
    """Probe, build, measure and test on a board."""
    world = World(where, (0,))
    YAML().dump(
        {"local": {"transport": address, "runtime": "onnxruntime", "options": {"python": sys.executable}}}, world.devices
    )
    probe("local", world.devices, world.facts)
    assert world.build()["status"] == "ok"
    assert world.benchmark()["status"] == "ok"
    assert world.recognise()["status"] == "ok"


@pytest.mark.slow
def test_a_python_that_greets_on_its_output_disturbs_no_answer(tmp_path: Path, servers: Callable[..., Server]) -> None:
    """By sitecustomize.py, or a .pth file of some package, whose words come before those of any program."""
    (tmp_path / "habits").mkdir()
    (tmp_path / "habits/sitecustomize.py").write_text("print('Welcome to your board!', flush=True)\n")
    whole_work(tmp_path, servers(PYTHONPATH=str(tmp_path / "habits")).address)


@pytest.mark.slow  # a board is played, its clocks locked and put back
def test_a_jetson_whose_python_greets_is_measured(
    tmp_path: Path, servers: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorrt, "IDLE_S", 0.3)
    monkeypatch.setattr(tensorrt, "ENERGY_S", 1.0)
    (tmp_path / "habits").mkdir()
    (tmp_path / "habits/sitecustomize.py").write_text("print('Welcome to your board!', flush=True)\n")
    jetson = Jetson(tmp_path / "root", "nano")
    server = servers("nano", GAITPRESS_SIMULATED_ROOT=str(jetson.root), PYTHONPATH=str(tmp_path / "habits"))
    device = Device("nano", server.address, "tensorrt", {"python": sys.executable, "lock_clocks": True})
    with runtime_on(device, "a test") as runtime:
        described, _, engine = build(runtime, tmp_path)
        assert described["status"] == "ok", described["reason"]
        assert runtime.benchmark(engine, EXAMPLE, SETTINGS).conditions["clocks_locked"] is True
    assert not jetson.locked


def test_a_python_that_greets_is_found_for_an_environment(tmp_path: Path, servers: Callable[..., Server]) -> None:
    (tmp_path / "habits").mkdir()
    (tmp_path / "habits/sitecustomize.py").write_text("print('Welcome to your board!', flush=True)\n")
    server = servers(PYTHONPATH=str(tmp_path / "habits"), PATH=f"{sys.base_prefix}/bin:/usr/bin:/bin")
    with connect("board", server.address) as link:
        assert interpreter.suitable(link, ("numpy", "onnxruntime"))["name"].startswith("python3")


@pytest.mark.slow
def test_a_home_with_blanks_and_letters_of_any_alphabet_works(tmp_path: Path, servers: Callable[..., Server]) -> None:
    whole_work(tmp_path, servers(XDG_CACHE_HOME=str(tmp_path / "Jörg's board (2) 板")).address)


@pytest.mark.parametrize("file", ["known_hosts", "config", "id_ed25519"])
def test_ssh_files_with_the_line_ends_of_windows_are_read(client: Path, server: Server, file: str) -> None:
    path = client / ".ssh" / file
    if file == "config":
        path.write_text(f"Host pi\n  HostName 127.0.0.1\n  Port {server.port}\n  User root\n")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    address = "ssh://pi" if file == "config" else server.address
    with connect("board", address) as link:
        assert link.run(["true"]).code == 0
