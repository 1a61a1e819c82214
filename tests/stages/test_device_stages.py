"""The stages probe, build and benchmark on this computer, with real engines."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from compress.precision import calibration_cache
from gaitpress import outputs
from gaitpress.errors import StageError
from gaitpress.results import figures
from gaitpress.results.records import load
from remote import facts
from remote.errors import DeviceError
from remote.python.runtime import PythonRuntime
from tests.support import commands
from tests.support.device_world import SHAPE, World
from tests.support.families import some


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world with one engine that was built and measured; only to be read."""
    world = World(tmp_path_factory.mktemp("world"), (0,))
    assert world.build()["status"] == "ok"
    world.benchmark()
    world.recognise()
    return world


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world up to the build; only to be copied."""
    world = World(tmp_path_factory.mktemp("built"), (0,))
    world.build()
    return world


@pytest.fixture
def world(built: World, tmp_path: Path) -> World:
    """A world of the test's own, up to the build."""
    return built.copy(tmp_path)


def typed(world: World, name: str, *more: object) -> subprocess.CompletedProcess[str]:
    """A stage as dvc.yaml types it."""
    words = ["--params", world.params, "--device", "local", "--devices", world.devices, *more]
    return commands.stage(name, *words)


def variant(world: World) -> list[object]:
    return ["--facts", world.facts, "--model", "gaitset", "--percentile", "0", "--precision", "fp32"]


def data(world: World) -> list[object]:
    return ["--training", world.where / "training/{model}.json", "--preprocessed", world.where / "preprocessed"]


def test_the_record_holds_every_figure_that_the_report_and_mlflow_show(finished: World) -> None:
    record = finished.joined()
    assert (record["status"], record["evidence"], record["data"]) == ("ok", "host", "synthetic")
    assert record["variant"] == {
        "model": "gaitset", "percentile": 0, "precision": "fp32", "device": "local", "dataset": "walkers"
    }  # fmt: skip
    absent = {"latency_p99_ms": "too few queries", "energy_mj_per_inference": record["energy_reason"]}
    absent |= dict.fromkeys(("mean_average_precision", "mean_inverse_penalty"), "CASIA-B's gallery is not one list")
    absent |= {"equal_error_rate": "too few people"}
    for figure in {*figures.TRACKED, *figures.RATES, *figures.MEASURED}:
        value = record
        for key in figure.path:
            value = value and value.get(key)
        assert value is not None or absent[figure.name]
    assert record["latency_ms"]["queries"] >= 20
    assert record["ms_per_video_second"] == pytest.approx(record["latency_ms"]["p50"] * 25 / 4, rel=1e-3)
    assert len(record["repeats"]) == 2
    assert [(point["batch"], point["reason"]) for point in record["sweep"]] == [(1, None), (3, None)]


def test_the_accuracy_is_that_of_the_engine_itself(finished: World, world: World) -> None:
    assert finished.joined()["accuracy"]["rank1"]["mean"] == 100
    # A network that sees nothing knows nobody.
    world.write_network(weights=np.zeros(SHAPE, np.float32))
    world.build()
    assert world.recognise()["accuracy"]["rank1"]["mean"] < 100


@pytest.mark.slow
def test_all_four_run_from_the_command_line(finished: World, tmp_path: Path) -> None:
    probed = typed(finished, "probe", "--out", tmp_path / "facts/{device}.json")
    assert probed.returncode == 0, probed.stderr
    assert facts.read(tmp_path / "facts/local.json", "local") == facts.read(finished.facts, "local")
    quantized = finished.where / "results/quantize/{model}/p{percentile}-{precision}"
    built = typed(finished, "build", *variant(finished), "--quantized", quantized, "--out", tmp_path / "engine")
    assert built.returncode == 0, built.stderr
    assert sorted(path.name for path in (tmp_path / "engine").iterdir()) == ["build.json", "engine.onnx", "metrics.json"]
    record = tmp_path / "{device}/{model}/p{percentile}-{precision}.json"
    more = ["--quantized", quantized, "--engine", tmp_path / "engine", *data(finished), "--out", record]
    measured = typed(finished, "benchmark", *variant(finished), *more)
    assert measured.returncode == 0, measured.stderr
    assert "ms a second of video" in measured.stdout
    assert (tmp_path / "local/gaitset/p0-fp32.json").is_file()
    rates = tmp_path / "rates/{device}/{model}/p{percentile}-{precision}.json"
    tested = ["--test", finished.where / "test/{model}.json", "--preprocessed", finished.where / "preprocessed"]
    more = ["--quantized", quantized, "--engine", tmp_path / "engine", *tested, "--out", rates]
    recognised = typed(finished, "recognise", *variant(finished), *more)
    assert recognised.returncode == 0, recognised.stderr
    assert "mean rank-1 100.0 %" in recognised.stdout
    assert (tmp_path / "rates/local/gaitset/p0-fp32.json").is_file()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("facts", "python -m remote probe local"),
        ("no facts", "dvc repro -f -s probe@local"),
        ("engine", "build it again: `dvc repro -f -s build@local-gaitset-0-fp32`"),
        pytest.param("network", "build it again: `dvc repro -f -s build@local-gaitset-0-fp32`", marks=pytest.mark.slow),
        ("no engine", "no such file"),
        ("store", "dvc repro partition@gaitset"),
        ("device", "no device local"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_remedy(world: World, change: str, said: str) -> None:
    if change == "facts":
        facts.write(world.facts, {**facts.read(world.facts, "local"), "runtime_version": "0.1"})
    elif change == "no facts":
        world.facts.unlink()
    elif change == "engine":
        (world.engine() / "engine.onnx").write_bytes(b"another")
    elif change == "network":
        world.write_network(weights=2 * np.ones(SHAPE))
    elif change == "no engine":
        (world.engine() / "build.json").unlink()
    elif change == "store":
        index = world.where / "preprocessed/silhouette/index.json"
        index.write_text(json.dumps({**json.loads(index.read_text()), "digest": "other"}))
    elif change == "device":
        world.devices.write_text("nano: {transport: local}\n")
    for stage, made in ((world.benchmark, world.record()), (world.recognise, world.rates())):
        with pytest.raises((DeviceError, StageError)) as raised:
            stage()
        assert said in str(raised.value)
        assert not made.exists()


def test_a_network_that_the_runtime_refuses_is_a_failed_record(world: World) -> None:
    world.write_network(op="Teleport")
    assert world.build()["status"] == "failed"
    record = world.benchmark()
    assert (record["status"], record["valid"], record["latency_ms"]) == ("failed", False, None)
    rates = world.recognise()
    assert (rates["status"], rates["reason"], rates["accuracy"]) == ("failed", record["reason"], None)
    assert "Teleport" in record["reason"]
    assert record["measured_at"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["not finite", "another shape"])
def test_an_engine_whose_signatures_are_no_signatures_is_a_failed_record(world: World, fault: str) -> None:
    world.write_network(weights=np.full(SHAPE, np.nan) if fault == "not finite" else np.ones((1, 44)))
    if fault == "another shape":
        signature = json.loads((world.quantized() / "signature.json").read_text())
        signature["output"]["shape"] = [1, 62, 256]
        outputs.write_json(world.quantized() / "signature.json", signature)
    world.build()
    rates = world.recognise()
    assert (rates["status"], rates["accuracy"], rates["rank1_by_view"]) == ("failed", None, None)
    assert "signature" in rates["reason"]
    # Its times are those of no engine that could be used.
    world.benchmark()
    (row,) = load(world.records, world.settings)
    assert (row.status, row.reasons, row.rank1) == ("failed", [rates["reason"]], None)


@pytest.mark.slow
def test_rates_of_an_engine_that_was_built_anew_are_not_taken_for_those_of_the_one_that_was_timed(world: World) -> None:
    world.benchmark()
    (row,) = load(world.records, world.settings)
    remedy = "its accuracy is not measured yet: `dvc repro recognise@local-gaitset-0-fp32`"
    assert (row.status, row.verdict, row.rank1, row.reasons[-1]) == ("ok", "invalid", None, remedy)
    world.recognise()
    (row,) = load(world.records, world.settings)
    assert row.rank1 == 100
    world.write_network(weights=2 * np.ones(SHAPE))
    world.build()
    world.benchmark()
    with pytest.raises(StageError, match="is of another engine than was timed; run `dvc repro recognise@local-gaitset-0"):
        load(world.records, world.settings)


@pytest.mark.parametrize("stage", ["build", "benchmark", "recognise"])
def test_a_missing_input_is_one_line_and_leaves_nothing_behind(world: World, tmp_path: Path, stage: str) -> None:
    gone = tmp_path / "gone"
    more = ["--quantized", gone, "--out", tmp_path / "new/out"]
    if stage != "build":
        more += ["--engine", world.engine(), "--preprocessed", world.where / "preprocessed"]
        more += ["--training", world.training] if stage == "benchmark" else ["--test", world.test]
    done = typed(world, stage, *variant(world), *more)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {gone}")
    assert len(done.stderr.splitlines()) == 1
    assert list((tmp_path / "new").rglob("*")) == []


def test_a_file_that_is_no_network_is_a_failed_build(world: World) -> None:
    (world.quantized() / "model.onnx").write_bytes(b"junk")
    assert world.build()["status"] == "failed"
    assert world.benchmark()["status"] == "failed"


def test_a_network_beyond_the_runtimes_operator_sets_is_not_even_sent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    old = {**facts.read(world.facts, "local"), "runtime_version": "1.8.1"}
    facts.write(world.facts, old)
    monkeypatch.setattr(PythonRuntime, "facts", lambda self: old)
    monkeypatch.setattr(PythonRuntime, "build", lambda *_: pytest.fail("it was sent"))
    with pytest.raises(DeviceError) as raised:
        world.build()
    assert str(raised.value) == "export.opset = 17: ONNX Runtime 1.8.1 reads up to opset 14; set export.opset: 14"


@pytest.mark.parametrize("precision", some(["fp16", "int8"], "int8"))
def test_calibration_never_sees_test_identities(tmp_path: Path, precision: str) -> None:
    world = World(tmp_path, (0,))
    world.write_params({"quantize": {**world.settings.quantize.model_dump(), "activations": "int8"}})
    # Walks of test identities reach 1 after scaling, those of training identities 60/255: one of the former would show.
    store = world.where / "preprocessed/silhouette"
    index = json.loads((store / "index.json").read_text())
    frames = np.load(store / "frames.npy", mmap_mode="r+")
    train = set(json.loads(world.training.read_text())["train"])
    for position, sequence in enumerate(index["sequences"]):
        rows = frames[sequence["start"] : sequence["start"] + sequence["count"]]
        rows[:] = np.minimum(rows, 60) if position in train else 255
    frames.flush()
    out = tmp_path / "quantized"
    words = ["--model", "gaitset", "--percentile", "0", "--precision", precision, "--exported", world.quantized()]
    words += [*data(world), "--params", world.params, "--out", out]
    done = commands.stage("quantize", *words)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["signature_error"] < 0.05
    if precision == "fp16":
        assert metrics["largest_value"] == pytest.approx(60 / 255, rel=0.01)
    else:
        _, _, scales = calibration_cache.read(out / "calibration.cache")
        assert 127 * max(scales.values()) == pytest.approx(60 / 255, rel=0.01)
