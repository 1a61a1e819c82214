"""The stages probe, build and benchmark on a simulated Jetson. TensorRT itself is not exercised here."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from remote import facts
from remote.runtimes.tensorrt import runtime as tensorrt
from simulator import bindings
from simulator.jetson import Jetson
from stages.probe import probe
from tests.support.device_world import World


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Jetson:
    board = Jetson(tmp_path / "root", "orin-nano")
    bindings.install(board)  # without a compiler trtexec runs each sequence, which only takes longer
    monkeypatch.setenv("GAITPRESS_SIMULATED_ROOT", str(board.root))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tensorrt, "IDLE_S", 0.3)
    monkeypatch.setattr(tensorrt, "ENERGY_S", 1.0)
    return board


@pytest.fixture
def world(board: Jetson, tmp_path: Path) -> World:
    """A world whose device is that board."""
    (tmp_path / "world").mkdir()
    world = World(tmp_path / "world", (0,))
    entry = {"transport": "local", "runtime": "tensorrt", "options": {"python": sys.executable, "lock_clocks": True}}
    world.devices.write_text(json.dumps({"local": entry}))
    probe("local", world.devices, world.facts)
    return world


@pytest.mark.slow
def test_a_record_of_a_simulated_board_says_so_and_holds_what_a_real_ones_does(board: Jetson, world: World) -> None:
    assert facts.read(world.facts, "local")["simulated"] is True
    assert world.build()["status"] == "ok"
    record = world.benchmark()
    assert (record["status"], record["evidence"]) == ("ok", "simulated")
    assert record["device"]["simulated"] is True
    assert world.recognise()["accuracy"]["rank1"]["mean"] == 100
    assert record["latency_ms"]["p50"] > 0
    assert record["energy_mj_per_inference"] > 0
    assert record["energy"]["scope"] == "module, at its input VDD_IN"
    assert record["conditions"]["clocks_locked"] is True
    assert record["engine"]["version"] == "10.3.0"
    assert not board.locked


def test_a_build_that_runs_out_of_memory_is_a_failed_record(board: Jetson, world: World) -> None:
    board.fault = "oom"
    assert world.build()["status"] == "failed"
    record = world.benchmark()
    assert (record["status"], record["evidence"], record["valid"]) == ("failed", "simulated", False)
    assert "out of memory" in record["reason"]
