"""Engines of TensorRT on a simulated Jetson: its trtexec is simulated, so TensorRT itself does not run here."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from remote.errors import DeviceError, EngineFailed, StaleEngine
from remote.jetson import program
from remote.jetson.nvpmodel import PowerMode
from remote.jetson.onboard import state
from remote.runtimes.tensorrt.board import ONBOARD
from remote.runtimes.tensorrt.onboard import engines
from remote.runtimes.tensorrt.trtexec import preflight
from simulator import bindings
from simulator.jetson import Jetson
from tests.remote.runtimes.tensorrt.test_trtexec_command import quantized
from tests.support.families import some
from tests.support.played import EXAMPLE, SETTINGS, Start, build, matrices, network, play


def test_the_program_for_the_board_is_one_file_with_the_same_bytes_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        program.write(tmp_path / name, ONBOARD)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_program_for_the_boards_sensors_alone_holds_nothing_of_a_runtime(tmp_path: Path) -> None:
    program.write(tmp_path / "alone")
    program.write(tmp_path / "more", ONBOARD)
    alone, more = (set(zipfile.ZipFile(tmp_path / name).namelist()) for name in ("alone", "more"))
    assert alone < more
    assert not [name for name in alone if name.startswith("remote/runtimes")]
    assert {f"{ONBOARD}/infer.py", "remote/jetson/onboard/hold.py"} <= more


@pytest.mark.parametrize(
    "source",
    [path for folder in (program.BOARD, ONBOARD) for path in sorted((program.ROOT / folder).glob("*.py"))],
    ids=lambda path: str(path.relative_to(program.ROOT)),
)
def test_the_programs_for_the_board_are_in_python_3_6_and_stand_alone(source: Path) -> None:
    tree = ast.parse(source.read_text(encoding="utf-8"), feature_version=(3, 6))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    ours = {name for name in names if name.startswith("remote.")}
    own = ("remote.jetson.onboard", *(["remote.runtimes.tensorrt.onboard"] if "tensorrt" in source.parts else []))
    assert all(name.startswith(own) for name in ours)
    assert {name.partition(".")[0] for name in names - ours} <= set(sys.stdlib_module_names) | {"tensorrt"}


@pytest.mark.slow
def test_an_engine_that_was_built_before_is_used_again(jetson: Jetson, tmp_path: Path, start: Start) -> None:
    first, _, _ = build(start(), tmp_path)
    again, _, engine = build(start(), tmp_path, name="again")
    assert again == first | {"onnx": "again.onnx"}
    assert sum("--saveEngine" in call for call in jetson.calls) == 1
    start().check(engine)
    # Another network, other flags, and an engine on the board that is not the one that was kept: built anew.
    build(start(), tmp_path, name="other", seed=1)
    build(start(), tmp_path, "fp16", name="half")
    assert sum("--saveEngine" in call for call in jetson.calls) == 3
    [kept] = (tmp_path / "cache-nano/gaitpress/engines").glob(f"{first['key']}.plan")
    kept.write_bytes(b"foreign")
    assert build(start(), tmp_path, name="anew")[0]["status"] == "ok"
    assert sum("--saveEngine" in call for call in jetson.calls) == 4


@pytest.mark.slow
def test_half_precision_is_another_engine_with_other_outputs(jetson: Jetson, tmp_path: Path, start: Start) -> None:
    runtime = start()
    single, half = build(runtime, tmp_path)[2], build(runtime, tmp_path, "fp16", name="half")[2]
    [exact], [rounded] = runtime.run(single, [EXAMPLE], 1), runtime.run(half, [EXAMPLE], 1)
    assert 1e-5 < np.abs(exact - rounded).max() < 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nano", "orin-nano"])
def test_the_python_bindings_run_the_engine_if_the_board_has_them(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    board = play(tmp_path, monkeypatch, kind)
    if not bindings.install(board):
        pytest.skip("there is no C compiler here for the board's libcudart")
    runtime = start()
    engine = build(runtime, tmp_path)[2]
    inputs = [np.random.default_rng(rows).standard_normal((rows, 4)).astype(np.float32) for rows in (1, 8, 2)]
    for given, output in zip(inputs, runtime.run(engine, iter(inputs), 1), strict=True):
        np.testing.assert_allclose(output, given @ np.linalg.multi_dot(matrices(0)), rtol=1e-5, atol=1e-6)
    with pytest.raises(EngineFailed, match="shape"):
        runtime.run(engine, [np.ones((999, 4), np.float32)], 1)
    assert "tensorrt.Runtime" in board.calls
    assert not any("--loadEngine" in call for call in board.calls)
    # Bindings of another version than the engine's are left alone.
    package = board.root / "usr/lib/python3/dist-packages/tensorrt/__init__.py"
    package.write_text(package.read_text() + '__version__ = "7.1.3"\n')
    assert len(start().run(engine, inputs, 1)) == 3
    assert sum("--loadEngine" in call for call in board.calls) == 3


@pytest.mark.parametrize("change", some(["upgrade", "engine", "network"], "upgrade"))
def test_a_stale_or_foreign_engine_is_never_loaded(change: str, jetson: Jetson, tmp_path: Path, start: Start) -> None:
    runtime = start()
    _, file, engine = build(runtime, tmp_path)
    if change == "upgrade":
        jetson.upgrade()
        runtime = start()
    elif change == "engine":
        (engine / "engine.plan").write_bytes(b"foreign")
    else:
        network(file, seed=5)
    with pytest.raises(StaleEngine):
        runtime.check(engine, file)
    if change != "network":
        with pytest.raises(StaleEngine):
            runtime.run(engine, [EXAMPLE], 1)
        with pytest.raises(StaleEngine):
            runtime.benchmark(engine, EXAMPLE, SETTINGS)
    assert not any("--loadEngine" in call for call in jetson.calls)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param("crash", "crashed (signal 11)", marks=pytest.mark.slow),
        pytest.param("killed", "most likely because memory ran out", marks=pytest.mark.slow),
        pytest.param("oom", "out of memory", marks=pytest.mark.slow),
        pytest.param("failed", "Could not find any implementation for node Conv_0", marks=pytest.mark.slow),
        pytest.param("silent", "wrote no engine", marks=pytest.mark.slow),
        ("hang", "trtexec hung"),
    ],
)
def test_a_build_that_fails_is_a_result_with_its_reason(
    fault: str, reason: str, jetson: Jetson, tmp_path: Path, start: Start
) -> None:
    jetson.fault = fault
    # Only what hangs needs a short limit: on a busy computer any other build takes longer than that.
    described, _, engine = build(start(longest_s=2.0 if fault == "hang" else 60.0), tmp_path)
    assert described["status"] == "failed"
    assert reason in described["reason"]
    assert [path.name for path in engine.iterdir()] == ["build.json"]
    assert list((tmp_path / "cache-nano/gaitpress/engines").glob("*.plan*")) == []
    with pytest.raises(EngineFailed):
        start().check(engine)
    jetson.fault = None
    assert build(start(), tmp_path)[0]["status"] == "ok"


def test_a_build_for_which_the_boards_disk_has_no_room_is_no_result(jetson: Jetson, tmp_path: Path, start: Start) -> None:
    jetson.fault = "full-disk"
    with pytest.raises(
        DeviceError, match=r"board: no room on its disk for an engine .*No space left.*make room there"
    ) as raised:
        build(start(), tmp_path)
    assert not isinstance(raised.value, EngineFailed)
    assert list((tmp_path / "cache-nano/gaitpress/engines").glob("*.plan*")) == []


def test_tensorrt_6_is_refused_with_the_jetpack_to_install(jetson: Jetson, start: Start) -> None:
    jetson.write("etc/nv_tegra_release", "# R32 (release), REVISION: 3.1, GCID: 18186506, BOARD: t210ref, EABI: aarch64\n")
    trtexec = jetson.root / "usr/src/tensorrt/bin/trtexec"
    trtexec.write_text('#!/bin/sh\necho "&&&& RUNNING TensorRT.trtexec # $0 $*"\necho "=== Model Options ==="\n')
    libraries = jetson.root / "usr/lib/aarch64-linux-gnu"
    # A library that comes with another program is not what trtexec runs on: its banner would have a version.
    with pytest.raises(DeviceError, match=r"board \(L4T 32.3.1\): nothing says which TensorRT this is: .* libnvinfer7"):
        start().facts()
    (libraries / "libnvinfer.so.6.0.1").touch()
    with pytest.raises(DeviceError) as raised:
        start().facts()
    assert str(raised.value) == (
        "board (L4T 32.3.1): TensorRT older than 7.1, too old for the networks made here; versions 7.1 to 11.x are "
        "supported (JetPack 4.4 to 7): update the board to JetPack 4.4 or later"
    )
    (libraries / "libnvinfer.so.7.1.3").touch()
    assert start().facts()["runtime_version"] == "7.1.3"


def test_a_missing_trtexec_is_reported_with_the_remedy(jetson: Jetson, start: Start) -> None:
    jetson.fault = "missing"
    with pytest.raises(DeviceError, match=r"trtexec does not run \(status 127\): .*not found"):
        start().facts()
    (jetson.root / "usr/src/tensorrt/bin/trtexec").unlink()
    with pytest.raises(DeviceError, match=r"usr/src/tensorrt/bin/trtexec.*libnvinfer-bin.*`trtexec`"):
        start().facts()


def test_a_build_that_a_board_cannot_run_is_skipped_and_nothing_runs(jetson: Jetson, tmp_path: Path, start: Start) -> None:
    described, _, engine = build(start(), tmp_path, "int8")
    assert (described["status"], described["bytes"]) == ("skipped", None)
    assert "no INT8 hardware" in described["reason"]
    with pytest.raises(EngineFailed, match="no INT8 hardware"):
        start().check(engine)
    assert build(start(dla_core=0), tmp_path, "fp16", name="dla")[0]["status"] == "skipped"
    assert set(jetson.calls) == {"trtexec --help"}


def test_a_quantised_network_is_an_int8_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start) -> None:
    board = play(tmp_path, monkeypatch, "xavier-nx")
    runtime = start()
    file, out = quantized(tmp_path / "q.onnx", TensorProto.INT8), tmp_path / "q"
    out.mkdir()
    described = runtime.build(file, out, "int8", 1)
    assert (described["status"], described["reason"]) == ("ok", None)
    assert described["flags"]["arguments"] == ["--int8", "--fp16"]
    [output] = runtime.run(out, [np.array([[0.2, 1.7, -3.4, 300]], np.float32)], 1)
    np.testing.assert_array_equal(output, [[0, 2, -3, 127]])
    assert not any("--shapes" in call for call in board.calls)


@pytest.mark.parametrize(
    ("version", "precision"),
    some([("8502", "int8"), ("100300", "best"), ("8502", "best"), ("100300", "int8")], ("8502", "int8")),
)
def test_a_calibration_cache_serves_every_tensorrt(
    version: str, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    board = play(tmp_path, monkeypatch, "xavier-nx")
    cache = tmp_path / "calibration.cache"
    cache.write_text(f"TRT-{version}-EntropyCalibration2\nx: 3c008912\n")  # the board compares the version with its own
    described = build(start(), tmp_path, precision)[0]
    assert (described["status"], described["reason"]) == ("ok", None)
    assert "calibration_sha256" in described["flags"]
    assert described["flags"]["arguments"][0] == f"--{precision}"
    assert any("--calib=" in call for call in board.calls)
    assert cache.read_text().startswith(f"TRT-{version}-")


@pytest.mark.slow
def test_the_best_mix_of_a_board_is_less_exact_than_fp16(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    play(tmp_path, monkeypatch, "xavier-nx")
    (tmp_path / "calibration.cache").write_text("TRT-100300-EntropyCalibration2\nx: 3f800000\n")  # steps of 1
    runtime, values = start(), np.array([[0.2, 1.7, -3.4, 2.6]], np.float32)
    outputs = {}
    for precision in ("fp16", "best"):
        _, _, engine = build(runtime, tmp_path, precision, name=precision)
        [outputs[precision]] = runtime.run(engine, [values], 1)
    assert np.abs(outputs["best"] - outputs["fp16"]).max() > 0.1


@pytest.mark.parametrize("version", ["3.6", "3.8", "3.10", "3.12"])
def test_the_pythons_of_all_jetpacks_run_the_program(version: str, jetson: Jetson, tmp_path: Path, start: Start) -> None:
    interpreter = shutil.which(f"python{version}")
    if not interpreter or subprocess.run([interpreter, "-V"], capture_output=True).returncode:
        pytest.skip(f"there is no Python {version} here")
    runtime = start(python=interpreter)
    assert runtime.facts()["python"] == version
    with runtime.board.held(1, True) as held:
        assert held.refused == ()
        assert runtime.board.state().mode == PowerMode("5W", 1)
    [output] = runtime.run(build(runtime, tmp_path)[2], [EXAMPLE], 1)
    assert output.shape == (2, 3)


@pytest.mark.parametrize(("of", "reason"), [({"opset": 17}, "opset 17 is newer"), ({"op": "Teleport"}, "Teleport")])
def test_a_network_that_tensorrt_refuses_is_a_result(
    of: dict, reason: str, jetson: Jetson, tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "available", lambda: None)  # so that the board is asked
    described = build(start(), tmp_path, **of)[0]
    assert described["status"] == "failed"
    assert described["reason"].startswith("[6] Invalid Node - ")
    assert reason in described["reason"]


@pytest.mark.slow
def test_an_input_that_does_not_fit_the_engine_is_the_engines_failure(jetson: Jetson, tmp_path: Path, start: Start) -> None:
    runtime = start()
    engine = build(runtime, tmp_path)[2]
    with pytest.raises(EngineFailed):
        runtime.run(engine, [EXAMPLE, np.ones((2, 9), np.float32)], 1)
    with pytest.raises(EngineFailed):
        runtime.benchmark(engine, np.ones((999, 4), np.float32), replace(SETTINGS, batch=999))


def test_an_engine_that_was_not_used_for_a_month_is_removed(tmp_path: Path) -> None:
    for name in ("old", "young", "new"):
        (tmp_path / f"{name}.built").write_bytes(name.encode())
    for name in ("old", "young"):
        engines.keep({"built": str(tmp_path / f"{name}.built"), "path": str(tmp_path / f"{name}.plan"), "known": {}})
        os.utime(tmp_path / f"{name}.plan", (0, time.time() - 86400 * (31 if name == "old" else 29)))
    engines.keep({"built": str(tmp_path / "new.built"), "path": str(tmp_path / "new.plan"), "known": {"seconds": 7}})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.plan", "new.plan.json", "young.plan", "young.plan.json"]
    assert engines.cached({"path": str(tmp_path / "new.plan")})["seconds"] == 7
    (tmp_path / "new.plan").write_bytes(b"foreign")
    assert engines.cached({"path": str(tmp_path / "new.plan")}) == {}


@pytest.mark.parametrize(("present", "count"), [("0-3\n", 4), ("0\n", 1), ("0-1,4,6-7\n", 5), ("", 0)])
def test_cores_that_a_power_mode_switches_off_count_too(present: str, count: int) -> None:
    assert state.cores(present) == count
