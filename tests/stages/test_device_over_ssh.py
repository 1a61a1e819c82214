"""The stages probe, build and benchmark with a device behind a real SSH server."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from remote.errors import DeviceError, HostKeyRefused, LinkLost
from simulator.ssh_server import Cutter, Server, through
from stages.probe import probe
from tests.support.device_world import World

BOARD = b"NVIDIA Jetson Nano Developer Kit\0"


def reached_over_ssh(world: World, server: Server) -> World:
    entry = {"transport": server.address, "runtime": "onnxruntime", "options": {"python": sys.executable}}
    YAML().dump({"local": entry}, world.devices)
    return world


@pytest.fixture
def world(tmp_path: Path, server: Server) -> World:
    world = reached_over_ssh(World(tmp_path, (0,)), server)
    probe("local", world.devices, world.facts)
    return world


def test_an_engine_is_built_measured_and_judged_there(world: World, server: Server) -> None:
    assert world.build()["status"] == "ok"
    record = world.benchmark()
    assert (record["status"], record["evidence"]) == ("ok", "host")
    assert world.recognise()["accuracy"]["rank1"]["mean"] == 100
    assert record["latency_ms"]["queries"] >= 20
    assert str(server.home) not in json.dumps(record)
    assert list((server.home / "run").rglob("*.onnx")) == []


@pytest.mark.slow
def test_what_plays_a_board_says_so_in_facts_and_record_whatever_its_entry_says(
    tmp_path: Path, servers: Callable[..., Server]
) -> None:
    root = tmp_path / "played"
    (root / "proc/device-tree").mkdir(parents=True)
    (root / "proc/device-tree/model").write_bytes(BOARD)
    world = World(tmp_path, (0,))
    reached_over_ssh(world, servers("played", GAITPRESS_SIMULATED_ROOT=str(root)))
    probe("local", world.devices, world.facts)
    known = json.loads(world.facts.read_text())
    assert (known["board"], known["simulated"]) == ("NVIDIA Jetson Nano Developer Kit", True)
    world.build()
    assert world.benchmark()["evidence"] == "simulated"


@pytest.mark.slow
def test_a_device_that_became_another_is_refused_with_the_remedy(
    world: World, servers: Callable[..., Server], tmp_path: Path
) -> None:
    world.build()
    root = tmp_path / "played"
    (root / "proc/device-tree").mkdir(parents=True)
    (root / "proc/device-tree/model").write_bytes(BOARD)
    reached_over_ssh(world, servers("other", GAITPRESS_SIMULATED_ROOT=str(root)))
    with pytest.raises(DeviceError, match=r"facts no longer hold .*python -m remote probe local"):
        world.benchmark()


def test_a_device_whose_key_is_not_known_leaves_nothing_behind(tmp_path: Path, servers: Callable[..., Server]) -> None:
    world = reached_over_ssh(World(tmp_path, (0,)), servers(known=False))
    with pytest.raises(HostKeyRefused, match="python -m remote trust local"):
        world.build()
    assert not world.engine().exists()


def cut_at(server: Server, proxy: Cutter, command: str) -> threading.Thread:
    """Cut the link as soon as the device is at a command of ours."""

    def cut() -> None:
        while not server.agents(command):
            time.sleep(0.02)
        proxy.cut()

    thread = threading.Thread(target=cut)
    thread.start()
    return thread


@pytest.mark.slow
def test_a_link_that_is_cut_costs_the_job_that_was_running_and_no_other(tmp_path: Path, server: Server) -> None:
    proxy, address = through(server, [])
    world = World(tmp_path, (0, 50))
    entry = {"transport": address, "runtime": "onnxruntime", "options": {"python": sys.executable}}
    YAML().dump({"local": entry}, world.devices)
    probe("local", world.devices, world.facts)
    world.build(0)
    world.benchmark(0)
    before = world.record(0).read_bytes()
    for command, work, result in (
        ("build", world.build, world.engine(50)),
        ("benchmark", world.benchmark, world.record(50)),
    ):
        thread = cut_at(server, proxy, command)
        with pytest.raises(LinkLost, match="local: the connection was lost"):
            work(50)
        thread.join()
        assert not result.exists()
        assert work(50)["status"] == "ok"
    assert world.record(0).read_bytes() == before
    proxy.close()


@pytest.mark.slow
def test_a_device_with_a_full_disk_is_reported_and_usable_once_there_is_room(world: World, server: Server) -> None:
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", server.home / "files"]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        filling = server.home / "files/filling"
        with pytest.raises(OSError, match="No space"), filling.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        with pytest.raises(DeviceError, match=r"cannot be written there: .*No space left on device"):
            world.build()
        assert not world.engine().exists()
        filling.unlink()
        assert world.build()["status"] == "ok"
    finally:
        subprocess.run(["umount", "-l", server.home / "files"], check=True)
