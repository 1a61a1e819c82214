"""Measurements with TensorRT on a simulated Jetson: its trtexec is simulated, so TensorRT itself does not run here."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from remote.benchmark import Timing
from remote.errors import DeviceError, EngineFailed
from remote.runtimes.tensorrt import runtime as tensorrt
from simulator.jetson import Jetson
from tests.support.played import EXAMPLE, SETTINGS, Start, build, matrices, play


@pytest.mark.parametrize(
    "kind",
    [
        "orin-nano",
        # The oldest and the newest TensorRT also measure over SSH, in test_trtexec_over_ssh.py.
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("nano-7", "agx-thor-11", "nano", "xavier-nx", "agx-thor")),
    ],
)
def test_a_board_of_each_jetpack_builds_runs_and_measures(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    board = play(tmp_path, monkeypatch, kind)
    runtime = start()
    facts = runtime.facts()
    assert facts == runtime.facts()
    assert facts["simulated"] is True
    build_number = [board.kind.build] if board.kind.build else []
    assert facts["runtime_version"] == ".".join(map(str, [*board.kind.tensorrt, *build_number]))
    assert (facts["board"], facts["compute_capability"]) == (board.kind.model, board.kind.gpu[1])
    assert facts["cpu"] in ("Cortex-A57", "Carmel", "Cortex-A78AE", "Neoverse-V3AE")
    described, file, engine = build(runtime, tmp_path, opset=min(13, board.kind.newest_opset))
    assert (described["status"], described["reason"]) == ("ok", None)
    assert described["bytes"] == (engine / "engine.plan").stat().st_size
    runtime.check(engine, file)
    inputs = [np.random.default_rng(rows).standard_normal((rows, 4)).astype(np.float32) for rows in (1, 7)]
    for given, output in zip(inputs, runtime.run(engine, iter(inputs), 1), strict=True):
        np.testing.assert_allclose(
            output, given @ np.linalg.multi_dot(matrices(0)), rtol=1e-4, atol=1e-5
        )  # trtexec writes six digits
    timing = runtime.benchmark(engine, np.repeat(EXAMPLE, 5, 0), replace(SETTINGS, sweep=(1, 9)))
    one, nine = timing.sweep
    assert (one["batch"], one["reason"], nine["batch"], nine["latency_ms"]) == (1, None, 9, None)
    assert one["queries"] >= 5
    assert "API Usage Error" in nine["reason"]  # the engine takes 8 at most
    json.dumps([timing.repeats, timing.conditions, timing.protocol, timing.energy])
    assert [layer["name"] for layer in timing.nodes["nodes"]]
    assert all(layer["ms"] >= 0 for layer in timing.nodes["nodes"])
    assert timing.invalid_reasons == []
    assert timing.latency_ms["queries"] == sum(repeat["queries"] for repeat in timing.repeats) >= 30
    assert timing.energy
    idle, busy = board.kind.input or next(iter(board.kind.rails.values()))
    assert timing.energy["idle_w"] == pytest.approx(idle / 1000, rel=0.01)
    assert idle / 1000 < timing.energy["mean_w"] <= busy / 1000 * 1.001
    assert timing.energy["gross_mj"] > timing.energy["idle_subtracted_mj"] > 0
    assert timing.conditions["power_mode"] == next(iter(board.kind.modes))
    assert timing.conditions["gpu_mhz_before"][1] == board.kind.gpu_hz[1] / 1e6
    transfers = timing.protocol["with_transfers"]
    assert transfers["p50"] >= transfers["compute_p50"] > 0
    assert timing.protocol["types"].startswith(
        "those of the network's file" if board.kind.tensorrt >= (11, 0) else "TensorRT"
    )
    copies = board.kind.tensorrt < (7, 2)
    assert timing.protocol["transfers"].startswith("this TensorRT copies" if copies else "none: ")


def test_times_alone_are_one_run_an_engine_and_one_that_fails_stops_no_other(
    jetson: Jetson, tmp_path: Path, start: Start
) -> None:
    engine = build(start(), tmp_path)[2]
    runtime = start(lock_clocks=True, power_mode="5W")
    before = len(jetson.calls)
    whole = replace(SETTINGS, repeats=1)
    timings = runtime.times([engine, engine], EXAMPLE, whole)
    first = next(timings)
    assert isinstance(first, Timing)
    assert first.latency_ms["queries"] >= 30
    assert (first.energy, first.conditions["power_mode"], jetson.mode) == (None, "5W", 1)
    jetson.fault = "oom"
    second = next(timings)
    assert isinstance(second, EngineFailed)
    assert list(timings) == []
    runs = [call for call in jetson.calls[before:] if "--loadEngine" in call]
    assert len(runs) == 2
    assert not any("--exportProfile" in call for call in runs)
    assert (jetson.mode, jetson.locked) == (0, False)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["oom", "crash", "killed", "failed", "hang"])
def test_a_failed_measurement_has_a_reason_and_the_board_is_as_before(
    fault: str, jetson: Jetson, tmp_path: Path, start: Start
) -> None:
    engine = build(start(), tmp_path)[2]
    runtime = start(longest_s=2.0 if fault == "hang" else 60.0, lock_clocks=True, power_mode="5W")
    jetson.fault = fault
    with pytest.raises(EngineFailed) as raised:
        runtime.benchmark(engine, EXAMPLE, SETTINGS)
    assert len(str(raised.value)) > 10
    assert "Traceback" not in str(raised.value)
    assert (jetson.mode, jetson.locked) == (0, False)
    assert "nvpmodel -m 1" in jetson.calls
    with pytest.raises(EngineFailed):
        runtime.run(engine, [EXAMPLE], 1)


@pytest.mark.slow
def test_power_mode_and_clocks_are_set_recorded_and_restored(jetson: Jetson, tmp_path: Path, start: Start) -> None:
    runtime = start(lock_clocks=True, power_mode="5W", cuda_graph=True)
    timing = runtime.benchmark(build(runtime, tmp_path)[2], EXAMPLE, SETTINGS)
    assert timing.protocol["timed"].endswith("as a CUDA graph")
    runs = [call for call in jetson.calls if "--exportTimes" in call]
    assert runs
    assert all("--useCudaGraph" in call for call in runs)
    assert timing.nodes["nodes"]
    assert not any("--useCudaGraph" in call for call in jetson.calls if "--exportProfile" in call)
    assert (timing.conditions["power_mode"], timing.conditions["power_mode_id"]) == ("5W", 1)
    assert timing.conditions["clocks_locked"] is True
    assert timing.conditions["not_put_back"] == []
    assert timing.invalid_reasons == []
    assert (jetson.mode, jetson.locked) == (0, False)
    assert list((tmp_path / "cache-nano/gaitpress").glob("power-to-put-back.json*")) == [
        tmp_path / "cache-nano/gaitpress/power-to-put-back.json.lock"
    ]


@pytest.mark.slow
def test_without_sudo_a_measurement_runs_unlocked_and_says_so(jetson: Jetson, tmp_path: Path, start: Start) -> None:
    jetson.sudo = False
    runtime = start(lock_clocks=True, power_mode="5W")
    timing = runtime.benchmark(build(runtime, tmp_path)[2], EXAMPLE, SETTINGS)
    assert timing.latency_ms["queries"] >= 30
    assert [reason.partition(":")[0] for reason in timing.invalid_reasons] == ["clocks not locked", "power mode not set"]
    assert "a password is required" in timing.invalid_reasons[0]
    assert (timing.conditions["clocks_locked"], timing.conditions["power_mode"]) == (False, "MAXN")
    assert (jetson.mode, jetson.locked) == (0, False)


@pytest.mark.slow
def test_on_a_board_without_the_tool_that_locks_clocks_a_measurement_says_so(
    jetson: Jetson, tmp_path: Path, start: Start
) -> None:
    (jetson.root / "usr/bin/jetson_clocks").unlink()
    timing = start(lock_clocks=True).benchmark(build(start(), tmp_path)[2], EXAMPLE, SETTINGS)
    assert timing.latency_ms["queries"] >= 30
    assert "clocks not locked: there is no such tool" in timing.invalid_reasons


@pytest.mark.slow
def test_a_mode_that_needs_a_reboot_is_not_set_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    board = play(tmp_path, monkeypatch, "xavier-nx")
    runtime = start(power_mode="MODE_20W_6CORE")
    timing = runtime.benchmark(build(runtime, tmp_path)[2], EXAMPLE, SETTINGS)
    assert timing.invalid_reasons == [
        "power mode not set: Reboot required for changing to this power mode: 8; set it once by hand and let it reboot: "
        "sudo nvpmodel -m 8"
    ]
    assert board.mode == 2


def test_an_unknown_power_mode_is_refused_with_the_modes_of_the_board(jetson: Jetson, tmp_path: Path, start: Start) -> None:
    runtime = start(power_mode="MAXQ")
    with pytest.raises(DeviceError, match=r"no power mode MAXQ; there is MAXN, 5W"):
        runtime.benchmark(build(runtime, tmp_path)[2], EXAMPLE, SETTINGS)


def test_the_board_is_restored_when_the_connection_is_lost(jetson: Jetson, start: Start) -> None:
    runtime = start()
    with pytest.raises(DeviceError), runtime.board.held(1, True):
        assert (jetson.mode, jetson.locked) == (1, True)
        # What the transport does when a link breaks: all that runs over it is killed.
        for process in children_of(os.getpid()):
            os.kill(process, signal.SIGKILL)
        for _ in range(100):
            if (jetson.mode, jetson.locked) == (0, False):
                break
            time.sleep(0.1)
        assert (jetson.mode, jetson.locked) == (0, False)


def children_of(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children")
    if not listed.exists():
        pytest.skip("this system does not list a process's children")
    return [int(child) for child in listed.read_text().split()]


def test_settings_left_by_a_power_cut_are_restored_at_the_next_job(jetson: Jetson, tmp_path: Path, start: Start) -> None:
    home = tmp_path / "cache-nano/gaitpress"
    home.mkdir(parents=True)
    (home / "stored").write_text("locked 0\n")
    (home / "power-to-put-back.json").write_text(json.dumps({"mode": 1, "clocks": str(home / "stored")}))
    jetson.locked = True
    with start().board.held(None, True) as held:
        assert (jetson.mode, jetson.locked) == (1, True)
    assert held.not_put_back == []
    assert (jetson.mode, jetson.locked) == (1, False)
    assert not (home / "stored").exists()


def test_settings_that_cannot_be_restored_are_reported_and_tried_again(
    jetson: Jetson, start: Start, capsys: pytest.CaptureFixture
) -> None:
    with start().board.held(1, True) as held:
        jetson.sudo = False
    assert [fault.partition(":")[0] for fault in held.not_put_back] == ["power mode 0", "clocks"]
    assert "could not be put back: power mode 0: sudo: a password is required" in capsys.readouterr().err
    assert jetson.mode == 1
    with start().board.held(1, True) as held:
        assert "not put back since an earlier measurement" in held.refused[0]
    jetson.sudo = True
    with start().board.held(1, False):
        assert (jetson.mode, jetson.locked) == (1, False)
    assert (jetson.mode, jetson.locked) == (0, False)


def test_only_one_job_holds_the_power_mode(jetson: Jetson, start: Start) -> None:
    with start().board.held(1, False) as first, start().board.held(None, True) as second:
        assert first.refused == ()
        assert "another measurement" in second.refused[0]
        assert (jetson.mode, jetson.locked) == (1, False)
    assert (jetson.mode, jetson.locked) == (0, False)


@pytest.mark.slow
def test_a_hot_and_a_throttled_board_are_reported(
    jetson: Jetson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    monkeypatch.setattr(tensorrt, "COOL_S", 0.5)
    runtime = start()
    engine = build(runtime, tmp_path)[2]
    jetson.heat(81.5)
    jetson.throttle(3)
    timing = runtime.benchmark(engine, EXAMPLE, SETTINGS)
    assert [reason.partition(":")[0] for reason in timing.invalid_reasons] == ["hot", "throttled"]
    assert timing.conditions["throttling"] == {"devfreq-gpu": 3}
    assert timing.conditions["temperature_c"] == 81.5


@pytest.mark.slow
def test_power_comes_from_tegrastats_if_sysfs_has_none(jetson: Jetson, tmp_path: Path, start: Start) -> None:
    jetson.sensor = False
    runtime = start()
    timing = runtime.benchmark(build(runtime, tmp_path)[2], EXAMPLE, SETTINGS)
    assert timing.energy
    assert timing.energy["source"] == "tegrastats"
    assert timing.energy["idle_w"] == pytest.approx(1.58, rel=0.05)
    assert timing.energy["gross_mj"] > timing.energy["idle_subtracted_mj"] > 0


@pytest.mark.slow
def test_a_board_without_power_readings_has_a_reason_and_no_energy(jetson: Jetson, tmp_path: Path, start: Start) -> None:
    jetson.sensor = False
    (jetson.root / "usr/bin/tegrastats").unlink()
    runtime = start()
    timing = runtime.benchmark(build(runtime, tmp_path)[2], EXAMPLE, SETTINGS)
    assert timing.energy is None
    assert timing.energy_reason
