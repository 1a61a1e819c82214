"""The TensorRT runtime against a simulated Jetson: its trtexec is ours, so TensorRT itself is not exercised here."""

from __future__ import annotations

import ast
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from remote.benchmark import BenchmarkSettings
from remote.errors import DeviceError, EngineFailed, StaleEngine
from remote.jetson import measurement, program
from remote.jetson.nvpmodel import PowerMode
from remote.jetson.onboard import engines, state
from remote.runtimes import tensorrt
from remote.runtimes.tensorrt import TensorRT
from remote.transport.local import LocalTransport
from tests.jetson_sim import bindings
from tests.jetson_sim.jetson import Jetson
from tests.remote.test_trtexec_command import quantized

SETTINGS = BenchmarkSettings(
    batch=2, threads=1, warmup_s=0.05, duration_s=0.05, min_queries=30, repeats=2, max_cov=1e9, session=1
)
EXAMPLE = np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)
OTHER_FAULTS = ("crash", "killed", "failed", "hang")
PRODUCTS = (("x", "a"), ("a", "b"), ("b", "y"))
Start = Callable[..., TensorRT]


@pytest.fixture
def jetson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Jetson:
    """A simulated Jetson Nano, which this process and what it starts take for the computer that they run on."""
    return play(tmp_path, monkeypatch, "nano")


def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> Jetson:
    board = Jetson(tmp_path / kind, kind)
    monkeypatch.setenv("GAITPRESS_SIMULATED_ROOT", str(board.root))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"cache-{kind}"))
    monkeypatch.setattr(tensorrt, "IDLE_S", 0.3)
    monkeypatch.setattr(tensorrt, "ENERGY_S", 1.0)
    monkeypatch.setattr(measurement, "MAX_DRIFT", 1e9)  # of a busy computer nothing is expected
    return board


@pytest.fixture
def start() -> Iterator[Start]:
    """Makes runtimes of this computer as a device."""
    opened = []

    def make(longest_s: float = 60.0, **options: object) -> TensorRT:
        transport = LocalTransport("board")
        opened.append(transport)
        return TensorRT(transport, {"python": sys.executable, **options}, longest_s)

    yield make
    for transport in opened:
        transport.__exit__()


def network(path: Path, opset: int = 13, seed: int = 0, op: str = "MatMul") -> Path:
    """x [n, 4] -> y [n, 3] through three products, so that a query takes some tenths of a millisecond."""
    nodes = [
        helper.make_node("MatMul" if i else op, [before, f"w{i}"], [after]) for i, (before, after) in enumerate(PRODUCTS)
    ]
    graph = helper.make_graph(
        nodes,
        "products",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(matrix, f"w{i}") for i, matrix in enumerate(matrices(seed))],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


def matrices(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        (rng.standard_normal(shape) / shape[0] ** 0.5).astype(np.float32) for shape in ((4, 1024), (1024, 1024), (1024, 3))
    ]


def build(
    runtime: TensorRT, tmp_path: Path, precision: str = "fp32", name: str = "engine", **of: object
) -> tuple[dict, Path, Path]:
    """build.json, the network and the engine's directory."""
    file, out = network(tmp_path / f"{name}.onnx", **of), tmp_path / name
    out.mkdir(exist_ok=True)
    return runtime.build(file, out, precision, 1, (2, 4)), file, out


@pytest.mark.parametrize(
    "kind", ["orin-nano", pytest.param("nano", marks=pytest.mark.slow), pytest.param("xavier-nx", marks=pytest.mark.slow)]
)
def test_a_board_of_each_jetpack_builds_runs_and_measures(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    board = play(tmp_path, monkeypatch, kind)
    runtime = start()
    facts = runtime.facts()
    assert facts == runtime.facts()
    assert facts["simulated"] is True
    assert facts["runtime_version"] == ".".join(map(str, board.kind.tensorrt))
    assert (facts["board"], facts["compute_capability"]) == (board.kind.model, board.kind.gpu[1])
    assert facts["cpu"] in ("Cortex-A57", "Carmel", "Cortex-A78AE")
    described, file, engine = build(runtime, tmp_path)
    assert (described["status"], described["reason"]) == ("ok", None)
    assert described["bytes"] == (engine / "engine.plan").stat().st_size
    runtime.check(engine, file)
    inputs = [np.random.default_rng(rows).standard_normal((rows, 4)).astype(np.float32) for rows in (1, 7)]
    for given, found in zip(inputs, runtime.run(engine, iter(inputs), 1), strict=True):
        np.testing.assert_allclose(
            found, given @ np.linalg.multi_dot(matrices(0)), rtol=1e-4, atol=1e-5
        )  # trtexec writes six digits
    timing = runtime.benchmark(engine, EXAMPLE, SETTINGS)
    json.dumps([timing.repeats, timing.conditions, timing.protocol, timing.energy])
    assert timing.invalid_reasons == []
    assert timing.latency_ms["queries"] == sum(repeat["queries"] for repeat in timing.repeats) >= 30
    assert timing.energy
    idle, busy = next(iter(board.kind.rails.values()))
    assert timing.energy["idle_w"] == pytest.approx(idle / 1000, rel=0.01)
    assert idle / 1000 < timing.energy["mean_w"] <= busy / 1000 * 1.001
    assert timing.energy["gross_mj"] > timing.energy["idle_subtracted_mj"] > 0
    assert timing.conditions["power_mode"] == next(iter(board.kind.modes))
    transfers = timing.protocol["with_transfers"]
    assert transfers["p50"] >= transfers["compute_p50"] > 0


def test_the_program_for_the_board_is_one_file_that_never_changes_by_itself(tmp_path: Path) -> None:
    for name in ("a", "b"):
        program.write(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("source", sorted((program.ROOT / program.PACKAGES[-1]).glob("*.py")), ids=lambda path: path.name)
def test_what_runs_on_the_board_is_written_in_python_3_6_and_stands_alone(source: Path) -> None:
    tree = ast.parse(source.read_text(encoding="utf-8"), feature_version=(3, 6))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    ours = {name for name in names if name.startswith("remote.")}
    assert all(name.startswith("remote.jetson.onboard.") for name in ours)
    assert {name.partition(".")[0] for name in names - ours} <= set(sys.stdlib_module_names) | {"tensorrt"}


@pytest.mark.slow
def test_an_engine_that_was_built_before_is_taken_again(jetson: Jetson, tmp_path: Path, start: Start) -> None:
    first, _, _ = build(start(), tmp_path)
    again, _, engine = build(start(), tmp_path, name="again")
    assert again == first
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


@pytest.mark.parametrize("kind", ["nano", "orin-nano"])
def test_pythons_bindings_run_the_engine_where_the_board_has_them(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    board = play(tmp_path, monkeypatch, kind)
    if not bindings.install(board):
        pytest.skip("there is no C compiler here for the board's libcudart")
    runtime = start()
    engine = build(runtime, tmp_path)[2]
    inputs = [np.random.default_rng(rows).standard_normal((rows, 4)).astype(np.float32) for rows in (1, 9, 2)]
    for given, found in zip(inputs, runtime.run(engine, iter(inputs), 1), strict=True):
        np.testing.assert_allclose(found, given @ np.linalg.multi_dot(matrices(0)), rtol=1e-5, atol=1e-6)
    with pytest.raises(EngineFailed, match="shape"):
        runtime.run(engine, [np.ones((999, 4), np.float32)], 1)
    assert "tensorrt.Runtime" in board.calls
    assert not any("--loadEngine" in call for call in board.calls)
    # Bindings of another version than the engine's are left alone.
    package = board.root / "usr/lib/python3/dist-packages/tensorrt/__init__.py"
    package.write_text(package.read_text() + '__version__ = "7.1.3"\n')
    assert len(start().run(engine, inputs, 1)) == 3
    assert sum("--loadEngine" in call for call in board.calls) == 3


@pytest.mark.parametrize("change", ["upgrade", "engine", "network"])
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
        ("crash", "crashed (signal 11)"),
        pytest.param("killed", "most likely because memory ran out", marks=pytest.mark.slow),
        ("oom", "out of memory"),
        pytest.param("failed", "Could not find any implementation for node Conv_0", marks=pytest.mark.slow),
        ("full-disk", "No space left on device"),
        pytest.param("silent", "wrote no engine", marks=pytest.mark.slow),
        ("hang", "trtexec hung"),
    ],
)
def test_a_build_that_fails_is_a_result_with_its_reason(
    fault: str, reason: str, jetson: Jetson, tmp_path: Path, start: Start
) -> None:
    jetson.fault = fault
    described, _, engine = build(start(longest_s=2.0), tmp_path)
    assert described["status"] == "failed"
    assert reason in described["reason"]
    assert [path.name for path in engine.iterdir()] == ["build.json"]
    assert list((tmp_path / "cache-nano/gaitpress/engines").glob("*.plan*")) == []
    with pytest.raises(EngineFailed):
        start().check(engine)
    jetson.fault = None
    assert build(start(), tmp_path)[0]["status"] == "ok"


@pytest.mark.parametrize("fault", ["oom", *(pytest.param(fault, marks=pytest.mark.slow) for fault in OTHER_FAULTS)])
def test_a_measurement_that_fails_is_a_reason_and_the_board_is_as_before(
    fault: str, jetson: Jetson, tmp_path: Path, start: Start
) -> None:
    engine = build(start(), tmp_path)[2]
    runtime = start(longest_s=2.0, lock_clocks=True, power_mode="5W")
    jetson.fault = fault
    with pytest.raises(EngineFailed) as told:
        runtime.benchmark(engine, EXAMPLE, SETTINGS)
    assert len(str(told.value)) > 10
    assert "Traceback" not in str(told.value)
    assert (jetson.mode, jetson.locked) == (0, False)
    assert "nvpmodel -m 1" in jetson.calls
    with pytest.raises(EngineFailed):
        runtime.run(engine, [EXAMPLE], 1)


def test_a_missing_trtexec_is_told_with_the_remedy(jetson: Jetson, start: Start) -> None:
    jetson.fault = "missing"
    with pytest.raises(DeviceError, match=r"trtexec does not run \(status 127\): .*not found"):
        start().facts()
    (jetson.root / "usr/src/tensorrt/bin/trtexec").unlink()
    with pytest.raises(DeviceError, match=r"usr/src/tensorrt/bin/trtexec.*libnvinfer-bin.*`trtexec`"):
        start().facts()


def test_what_a_board_cannot_run_is_skipped_and_nothing_runs(jetson: Jetson, tmp_path: Path, start: Start) -> None:
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
    [found] = runtime.run(out, [np.array([[0.2, 1.7, -3.4, 300]], np.float32)], 1)
    np.testing.assert_array_equal(found, [[0, 2, -3, 127]])
    assert not any("--shapes" in call for call in board.calls)


@pytest.mark.parametrize(("version", "status"), [("8502", "ok"), ("7103", "failed")])
def test_a_calibration_cache_serves_the_tensorrt_that_wrote_it(
    version: str, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    board = play(tmp_path, monkeypatch, "xavier-nx")
    (tmp_path / "calibration.cache").write_text(f"TRT-{version}-EntropyCalibration2\nx: 3c008912\n")
    described = build(start(), tmp_path, "int8")[0]
    assert described["status"] == status
    assert "calibration_sha256" in described["flags"]
    assert any("--calib=" in call for call in board.calls)
    assert ("does not match" in (described["reason"] or "")) == (status == "failed")


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
    [found] = runtime.run(build(runtime, tmp_path)[2], [EXAMPLE], 1)
    assert found.shape == (2, 3)


@pytest.mark.parametrize(("of", "reason"), [({"opset": 17}, "up to 13 is safe here"), ({"op": "Teleport"}, "Teleport")])
def test_a_network_that_tensorrt_refuses_is_a_result(
    of: dict, reason: str, jetson: Jetson, tmp_path: Path, start: Start
) -> None:
    described = build(start(), tmp_path, **of)[0]
    assert described["status"] == "failed"
    assert reason in described["reason"]


def test_an_input_that_the_engine_does_not_take_is_the_engines_failure(jetson: Jetson, tmp_path: Path, start: Start) -> None:
    runtime = start()
    engine = build(runtime, tmp_path)[2]
    for wrong in (np.ones((2, 9), np.float32), np.ones((999, 4), np.float32)):
        with pytest.raises(EngineFailed):
            runtime.run(engine, [EXAMPLE, wrong], 1)
        with pytest.raises(EngineFailed):
            runtime.benchmark(engine, wrong, SETTINGS)


@pytest.mark.slow
def test_power_mode_and_clocks_are_set_recorded_and_put_back(jetson: Jetson, tmp_path: Path, start: Start) -> None:
    runtime = start(lock_clocks=True, power_mode="5W")
    timing = runtime.benchmark(build(runtime, tmp_path)[2], EXAMPLE, SETTINGS)
    assert (timing.conditions["power_mode"], timing.conditions["power_mode_id"]) == ("5W", 1)
    assert timing.conditions["clocks_locked"] is True
    assert timing.conditions["not_put_back"] == []
    assert timing.invalid_reasons == []
    assert (jetson.mode, jetson.locked) == (0, False)
    assert list((tmp_path / "cache-nano/gaitpress").glob("power-to-put-back.json*")) == [
        tmp_path / "cache-nano/gaitpress/power-to-put-back.json.lock"
    ]


@pytest.mark.slow
def test_without_sudo_it_goes_on_unlocked_and_says_so(jetson: Jetson, tmp_path: Path, start: Start) -> None:
    jetson.sudo = False
    runtime = start(lock_clocks=True, power_mode="5W")
    timing = runtime.benchmark(build(runtime, tmp_path)[2], EXAMPLE, SETTINGS)
    assert timing.latency_ms["queries"] >= 30
    assert [reason.partition(":")[0] for reason in timing.invalid_reasons] == ["clocks not locked", "power mode not set"]
    assert "a password is required" in timing.invalid_reasons[0]
    assert (timing.conditions["clocks_locked"], timing.conditions["power_mode"]) == (False, "MAXN")
    assert (jetson.mode, jetson.locked) == (0, False)


@pytest.mark.slow
def test_a_mode_that_wants_a_reboot_is_not_set_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    board = play(tmp_path, monkeypatch, "xavier-nx")
    runtime = start(power_mode="MODE_20W_6CORE")
    timing = runtime.benchmark(build(runtime, tmp_path)[2], EXAMPLE, SETTINGS)
    assert ["power mode not set" in reason for reason in timing.invalid_reasons] == [True]
    assert board.mode == 2


def test_an_unknown_power_mode_is_refused_with_those_that_there_are(jetson: Jetson, tmp_path: Path, start: Start) -> None:
    runtime = start(power_mode="MAXQ")
    with pytest.raises(DeviceError, match=r"no power mode MAXQ; there is MAXN, 5W"):
        runtime.benchmark(build(runtime, tmp_path)[2], EXAMPLE, SETTINGS)


def test_the_board_is_put_back_when_the_connection_is_lost(jetson: Jetson, start: Start) -> None:
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


def test_what_a_power_cut_left_is_put_back_at_the_next_time(jetson: Jetson, tmp_path: Path, start: Start) -> None:
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


def test_what_cannot_be_put_back_is_told_and_tried_again(
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


def test_an_engine_that_nobody_asked_for_a_month_makes_room(tmp_path: Path) -> None:
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


def test_only_one_job_holds_the_power_mode(jetson: Jetson, start: Start) -> None:
    with start().board.held(1, False) as first, start().board.held(None, True) as second:
        assert first.refused == ()
        assert "another measurement" in second.refused[0]
        assert (jetson.mode, jetson.locked) == (1, False)
    assert (jetson.mode, jetson.locked) == (0, False)


@pytest.mark.slow
def test_a_hot_and_a_throttled_board_are_told(
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
def test_power_comes_from_tegrastats_where_sysfs_has_none(jetson: Jetson, tmp_path: Path, start: Start) -> None:
    jetson.sensor = False
    runtime = start()
    timing = runtime.benchmark(build(runtime, tmp_path)[2], EXAMPLE, SETTINGS)
    assert timing.energy
    assert timing.energy["source"] == "tegrastats"
    assert timing.energy["idle_w"] == pytest.approx(1.58, rel=0.05)
    assert timing.energy["gross_mj"] > timing.energy["idle_subtracted_mj"] > 0


@pytest.mark.slow
def test_a_board_that_tells_no_power_has_a_reason_and_no_energy(jetson: Jetson, tmp_path: Path, start: Start) -> None:
    jetson.sensor = False
    (jetson.root / "usr/bin/tegrastats").unlink()
    runtime = start()
    timing = runtime.benchmark(build(runtime, tmp_path)[2], EXAMPLE, SETTINGS)
    assert timing.energy is None
    assert timing.energy_reason
