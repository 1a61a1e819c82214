"""Two simulated Jetsons of different JetPacks behind real SSH servers. TensorRT itself does not run here."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest

from remote.errors import DeviceError, LinkLost, StaleEngine
from remote.inventory import Device
from remote.runtimes import runtime_on
from remote.runtimes.tensorrt import runtime as tensorrt
from simulator.jetson import Jetson
from simulator.ssh_server import Server
from tests.support.played import EXAMPLE, SETTINGS, build, matrices

pytestmark = pytest.mark.slow


def board(kind: str, tmp_path: Path, servers, **options: object) -> tuple[Jetson, Server, Device]:
    jetson = Jetson(tmp_path / f"root-{kind}", kind)
    behind = servers(kind, GAITPRESS_SIMULATED_ROOT=str(jetson.root))
    return jetson, behind, Device(kind, behind.address, "tensorrt", {"python": sys.executable, **options})


def test_each_board_builds_and_measures_its_own_engine_and_takes_no_other(
    tmp_path: Path,
    servers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tensorrt, "IDLE_S", 0.3)
    monkeypatch.setattr(tensorrt, "ENERGY_S", 1.0)
    engines = {}
    for kind, version in (("nano", "8.2.1"), ("orin-nano", "10.3.0")):
        jetson, _, device = board(kind, tmp_path, servers, lock_clocks=True)
        with runtime_on(device, "a test") as runtime:
            facts = runtime.facts()
            assert (facts["runtime_version"], facts["board"]) == (version, jetson.kind.model)
            assert device.evidence(facts) == "simulated"
            described, file, engine = build(runtime, tmp_path, "fp16", name=f"engine-{kind}")
            assert described["status"] == "ok", described["reason"]
            runtime.check(engine, file)
            [output] = runtime.run(engine, [EXAMPLE], 1)
            np.testing.assert_allclose(output, EXAMPLE @ np.linalg.multi_dot(matrices(0)), atol=1e-2)
            timing = runtime.benchmark(engine, EXAMPLE, SETTINGS)
            assert timing.conditions["clocks_locked"] is True
            assert timing.energy
        assert not jetson.locked
        engines[kind] = engine, device
    with runtime_on(engines["nano"][1]) as runtime, pytest.raises(StaleEngine, match="built for something else"):
        runtime.run(engines["orin-nano"][0], [EXAMPLE], 1)


def test_a_board_whose_link_breaks_is_restored_and_usable_again(tmp_path: Path, servers) -> None:
    jetson, behind, device = board("xavier-nx", tmp_path, servers, lock_clocks=True)
    with runtime_on(device, "a test") as runtime:
        engine = build(runtime, tmp_path)[2]
        with pytest.raises(DeviceError), runtime.board.held(0, True):
            assert (jetson.mode, jetson.locked) == (0, True)
            behind.kill()
            for _ in range(300):
                if (jetson.mode, jetson.locked) == (2, False):
                    break
                time.sleep(0.1)
            assert (jetson.mode, jetson.locked) == (2, False)
            behind.start()
    with runtime_on(device, "a test") as runtime:
        assert len(runtime.run(engine, [EXAMPLE], 1)) == 1


def test_a_board_that_reboots_while_it_is_measured_loses_nothing(tmp_path: Path, servers) -> None:
    jetson, _, device = board("orin-nano", tmp_path, servers, lock_clocks=True, power_mode="15W")
    with runtime_on(device, "a test") as runtime:
        engine = build(runtime, tmp_path)[2]
        jetson.fault = "reboot"
        with pytest.raises(LinkLost):
            runtime.benchmark(engine, EXAMPLE, SETTINGS)
    for _ in range(300):
        if (jetson.mode, jetson.locked) == (1, False):
            break
        time.sleep(0.1)
    assert (jetson.mode, jetson.locked) == (1, False)
    with runtime_on(device, "a test") as runtime:
        with pytest.raises(StaleEngine, match=r"l4t: 36.4.3 -> 36.4.4"):
            runtime.benchmark(engine, EXAMPLE, SETTINGS)
        assert build(runtime, tmp_path, name="anew")[0]["status"] == "ok"


def test_a_board_that_boots_with_another_l4t_refuses_its_old_engines(tmp_path: Path, servers) -> None:
    jetson, behind, device = board("nano", tmp_path, servers)
    with runtime_on(device, "a test") as runtime:
        engine = build(runtime, tmp_path)[2]
        behind.kill()
        jetson.upgrade()
        behind.start()
        with pytest.raises(StaleEngine, match=r"l4t: 32.7.1 -> 32.7.2"):
            runtime.run(engine, [EXAMPLE], 1)
