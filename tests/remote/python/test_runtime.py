import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from remote.benchmark import BenchmarkSettings, Timing
from remote.errors import EngineFailed, StaleEngine
from remote.python.runtime import PythonRuntime
from remote.runtimes import part
from remote.transport.local import LocalTransport
from simulator.jetson import Jetson
from tests.support.onnx_files import linear, pairs

SETTINGS = BenchmarkSettings(
    batch=2, threads=1, warmup_s=0.0, duration_s=0.05, min_queries=30, repeats=2, max_cov=1e9, session=1
)


RUNTIMES = ("onnxruntime", "openvino")
Opened = Callable[[LocalTransport, Mapping[str, Any]], PythonRuntime]


@pytest.fixture(scope="module", params=RUNTIMES)
def opened(request: pytest.FixtureRequest) -> Opened:
    opening: Opened = part(request.param, "runtime").opened
    return opening


@pytest.fixture(scope="module")
def runtime(opened: Opened) -> Iterator[PythonRuntime]:
    with LocalTransport() as link:
        yield opened(link, {})


# Each takes eight seconds, and the program that measures is the same for both.
ONE_IS_QUICK = pytest.mark.parametrize(
    "opened", [RUNTIMES[0], pytest.param(RUNTIMES[1], marks=pytest.mark.slow)], indirect=True
)


@pytest.fixture(scope="module")
def once(runtime: PythonRuntime, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network and its engine."""
    where = tmp_path_factory.mktemp("built")
    (where / "engine").mkdir()
    assert runtime.build(linear(where / "model.onnx"), where / "engine", "fp32", 1)["status"] == "ok"
    return where


@pytest.fixture
def built(once: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A network and the directory with its engine, which may be changed."""
    shutil.copytree(once, tmp_path, dirs_exist_ok=True)
    return tmp_path / "model.onnx", tmp_path / "engine"


def test_an_engine_computes_the_outputs_of_its_network(runtime: PythonRuntime, built: tuple[Path, Path]) -> None:
    onnx, engine = built
    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    inputs = [np.random.default_rng(rows).standard_normal((rows, 4)).astype(np.float32) for rows in (1, 7)]
    for given, output in zip(inputs, runtime.run(engine, inputs, 1), strict=True):
        np.testing.assert_allclose(output, session.run(None, {"x": given})[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 3])
def test_an_engine_takes_no_more_of_this_machine_than_its_threads(
    runtime: PythonRuntime, built: tuple[Path, Path], threads: int
) -> None:
    at_work: list[int] = []

    def inputs() -> Iterator[np.ndarray]:
        for _ in range(4 * threads):
            time.sleep(0.2)  # until all that start have started
            at_work.append(sum(b"run" in words for words in commands_of_children()))
            yield np.ones((1, 4), np.float32)

    runtime.run(built[1], inputs(), threads)
    assert max(at_work) == threads


def commands_of_children() -> Iterator[list[bytes]]:
    for children in Path("/proc/self/task").glob("*/children"):
        for child in children.read_text().split():
            with suppress(OSError):
                yield Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")


def test_building_again_gives_the_same_key(runtime: PythonRuntime, built: tuple[Path, Path], tmp_path: Path) -> None:
    onnx, engine = built
    again = tmp_path / "again"
    again.mkdir()
    key = runtime.build(onnx, again, "fp32", 1)["key"]
    assert key == json.loads((engine / "build.json").read_text())["key"]
    other = tmp_path / "other"
    other.mkdir()
    assert runtime.build(linear(tmp_path / "other.onnx", seed=1), other, "fp32", 1)["key"] != key


@pytest.mark.parametrize("fault", ["unknown operator", "truncated"])
def test_a_network_that_is_refused_is_a_result_with_a_reason(tmp_path: Path, runtime: PythonRuntime, fault: str) -> None:
    onnx = linear(tmp_path / "model.onnx", op="Teleport" if fault == "unknown operator" else "MatMul")
    if fault == "truncated":
        onnx.write_bytes(onnx.read_bytes()[:40])
    engine = tmp_path / "engine"
    engine.mkdir()
    described = runtime.build(onnx, engine, "fp32", 1)
    assert described["status"] == "failed"
    assert described["reason"]
    assert str(tmp_path) not in described["reason"]
    assert [entry.name for entry in engine.iterdir()] == ["build.json"]
    with pytest.raises(EngineFailed) as raised:
        runtime.check(engine, onnx)
    assert str(raised.value) == described["reason"]


def spoil(what: str, onnx: Path, engine: Path) -> None:
    described = json.loads((engine / "build.json").read_text())
    if what == "engine":
        linear(engine / described["engine"], seed=5)
    elif what == "engine gone":
        (engine / described["engine"]).unlink()
    elif what == "network":
        linear(onnx, seed=5)
    elif what == "build.json gone":
        (engine / "build.json").unlink()
    elif what == "build.json damaged":
        (engine / "build.json").write_text("{")
    elif what == "build.json edited":
        (engine / "build.json").write_text(json.dumps({**described, "onnx_sha256": "0"}))


@pytest.mark.parametrize(
    "what", ["engine", "engine gone", "network", "build.json gone", "build.json damaged", "build.json edited"]
)
def test_only_the_engine_that_was_built_is_accepted(runtime: PythonRuntime, built: tuple[Path, Path], what: str) -> None:
    onnx, engine = built
    runtime.check(engine, onnx)
    spoil(what, onnx, engine)
    with pytest.raises(StaleEngine):
        runtime.check(engine, onnx)


@ONE_IS_QUICK
def test_a_measurement_has_the_requested_repeats_and_queries(runtime: PythonRuntime, built: tuple[Path, Path]) -> None:
    timing = runtime.benchmark(built[1], np.ones((2, 4), np.float32), SETTINGS)
    assert len(timing.repeats) == 2
    assert timing.latency_ms["queries"] == sum(repeat["queries"] for repeat in timing.repeats) >= 30
    assert timing.latency_ms["min"] <= timing.latency_ms["p50"] <= timing.latency_ms["p90"] <= timing.latency_ms["max"]
    assert timing.throughput_per_s == pytest.approx(1000 * 2 / timing.latency_ms["mean"], rel=1e-3)
    assert (timing.energy is None) == (timing.energy_reason is not None)
    # OpenVINO may fuse all of so small a network into one node.
    assert timing.nodes["nodes"]
    assert all(node["name"] and node["op"] and node["ms"] >= 0 for node in timing.nodes["nodes"])


@ONE_IS_QUICK
def test_a_repeat_on_a_slower_machine_is_replaced(
    runtime: PythonRuntime, built: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    call, references = PythonRuntime._call, iter([1.0, 1.5, 1.02])

    def on_a_wavering_machine(self: PythonRuntime, arguments: Sequence[str], *others: Any, **named: Any) -> dict[str, Any]:
        answer = call(self, arguments, *others, **named)
        if arguments[0] == "benchmark":
            answer |= dict.fromkeys(("reference_ms_before", "reference_ms_after"), next(references))
        return answer

    monkeypatch.setattr(PythonRuntime, "_call", on_a_wavering_machine)
    timing = runtime.benchmark(built[1], np.ones((2, 4), np.float32), SETTINGS)
    assert [repeat["reference_ms_before"] for repeat in timing.repeats] == [1.0, 1.02]
    assert timing.conditions["repeats_left_out"] == 1
    assert timing.conditions["reference_drift"] == pytest.approx(0.02)
    assert not any("drift" in reason for reason in timing.invalid_reasons)


@pytest.mark.slow
def test_a_boards_energy_is_in_its_measurement(
    tmp_path: Path, built: tuple[Path, Path], opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = Jetson(tmp_path / "board", "agx-thor")
    monkeypatch.setenv("GAITPRESS_SIMULATED_ROOT", str(board.root))
    with LocalTransport() as link:
        runtime = opened(link, {})
        assert runtime.build(built[0], built[1], "fp32", 1)["status"] == "ok"
        timing = runtime.benchmark(built[1], np.ones((2, 4), np.float32), SETTINGS)
    assert timing.energy is not None, timing.energy_reason
    assert timing.energy["scope"] == "board, at its input VIN"
    assert (timing.energy["rails"], timing.energy["source"]) == (["VIN"], "ina238 + ina3221")
    assert timing.energy["idle_w"] == 28.906
    assert timing.energy["gross_mj"] > 0


@pytest.mark.slow
@ONE_IS_QUICK
def test_each_batch_of_a_sweep_has_a_row_and_a_failing_batch_stops_no_other(
    runtime: PythonRuntime, built: tuple[Path, Path]
) -> None:
    settings = replace(SETTINGS, sweep=(1, 4, 8))
    timing = runtime.benchmark(built[1], np.ones((8, 4), np.float32), settings)
    assert timing.latency_ms["queries"] >= 30
    assert [row["batch"] for row in timing.sweep] == [1, 4, 8]
    for row in timing.sweep:
        assert row["reason"] is None
        assert row["queries"] >= 5
    assert runtime.build(pairs(built[0]), built[1], "fp32", 1)["status"] == "ok"
    one, four, eight = runtime.benchmark(built[1], np.ones((8, 4), np.float32), settings).sweep
    assert one["reason"] is None
    assert (four["latency_ms"], eight["inferences_per_s"]) == (None, None)
    assert "Add node" in four["reason"] or "2 outputs for 4 inputs" in four["reason"]


@ONE_IS_QUICK
def test_a_batch_that_kills_its_process_has_a_reason_and_the_others_are_measured(
    tmp_path: Path, built: tuple[Path, Path], opened: Opened
) -> None:
    killing = tmp_path / "python"
    killing.write_text(f"""#!/bin/sh
case "$*" in *" sweep "*" 4"*) kill -9 $$ ;; esac
exec {sys.executable} "$@"
""")
    killing.chmod(0o755)
    with LocalTransport() as link:
        timing = opened(link, {"python": str(killing)}).benchmark(
            built[1], np.ones((4, 4), np.float32), replace(SETTINGS, sweep=(1, 2, 4))
        )
    assert [row["reason"] for row in timing.sweep] == [
        None, None, "the measuring process was killed (signal 9), most likely because memory ran out"
    ]  # fmt: skip


@ONE_IS_QUICK
def test_engines_are_timed_in_one_process_and_one_that_fails_or_kills_it_stops_no_other(
    tmp_path: Path, built: tuple[Path, Path], opened: Opened
) -> None:
    folders = [tmp_path / name for name in ("first", "broken", "deadly", "last")]
    for folder in folders:
        shutil.copytree(built[1], folder)
    part = tmp_path / "part.py"
    with LocalTransport() as link:
        package = opened(link, {}).package
        part.write_text(
            package.part.read_text()
            + f"""
import atexit, os
from pathlib import Path
whole = load
def load(engine, threads, options):
    if "broken" in str(engine):
        raise ValueError("of a broken engine")
    if "deadly" in str(engine):
        os.kill(os.getpid(), 9)
    if "last" in str(engine):
        atexit.register(os._exit, 3)  # fails at its end, when all answers are there
    with open({str(tmp_path / "loads")!r}, "a") as file:
        file.write(str(os.getpid()) + "\\n")
    return whole(engine, threads, options)
"""
        )
        runtime = PythonRuntime(link, {}, replace(package, part=part))
        settings = replace(SETTINGS, repeats=1)
        first, broken, deadly, last = runtime.times(folders, np.ones((2, 4), np.float32), settings)
        assert [str(broken), str(deadly)] == [
            "ValueError: of a broken engine",
            "the measuring process was killed (signal 9), most likely because memory ran out",
        ]
        assert isinstance(first, Timing)
        assert isinstance(last, Timing)
        for timing in (first, last):
            assert timing.latency_ms["queries"] >= 30
            assert timing.latency_ms["p50"] > 0
            assert timing.conditions["reference_ms_after"] > 0
            assert timing.energy is None
        (tmp_path / "loads").unlink()
        again = list(runtime.times([folders[0], folders[3]], np.ones((2, 4), np.float32), settings))
        assert len(set((tmp_path / "loads").read_text().split())) == 1
        # The second finds a warm processor: its reference time before is the first one's after.
        one, two = (timing.conditions for timing in again if isinstance(timing, Timing))
        assert two["reference_ms_before"] == one["reference_ms_after"]


def test_an_input_of_the_wrong_shape_is_the_engines_failure(runtime: PythonRuntime, built: tuple[Path, Path]) -> None:
    with pytest.raises(EngineFailed):
        runtime.benchmark(built[1], np.ones((2, 9), np.float32), SETTINGS)
