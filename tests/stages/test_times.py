"""Pruning to a time, through the stages: a table of times measured on this computer, and networks pruned by it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compress.pruning.times import TimeModel
from gaitpress import outputs, params
from gaitpress.frameworks import framework
from gaitpress.time_target import TIME_TOLERANCE, time_warnings
from stages.probe import probe
from stages.prune import TOLERANCE
from tests.support import commands
from tests.support.toy import ROOT, make_small

QUICK = {"benchmark.warmup_s": 0.0, "benchmark.duration_s": 0.01, "benchmark.min_queries": 6, "benchmark.repeats": 2}
LATENCY = {"prune.mode": "latency", "prune.device": "local", "prune.reconstruct": False, "prune.criterion": "mean-l1"}


def stage(where: Path, name: str, *options: object) -> subprocess.CompletedProcess[str]:
    words = ("--params", where / "params.yaml", *options)
    if "gaitset" in options:
        return commands.stage(name, *words)
    # TensorFlow takes its number of threads once in a process.
    return subprocess.run(
        [sys.executable, "-m", f"stages.{name}", *map(str, words)], cwd=ROOT, text=True, capture_output=True
    )


def times(where: Path, model: str) -> subprocess.CompletedProcess[str]:
    return stage(
        where, "times", "--device", "local", "--model", model, "--devices", "remote/devices.yaml",
        "--facts", where / "facts/local.json", "--out", where / "times/{device}/{model}.json",
    )  # fmt: skip


def prune(where: Path, model: str, percentile: float) -> subprocess.CompletedProcess[str]:
    return stage(
        where, "prune", "--model", model, "--percentile", percentile, "--dense", where / model, "--times", where / "times",
        "--out", where / f"pruned/{model}/p{percentile}",
    )  # fmt: skip


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def prepared(where: Path, **settings: object) -> None:
    shutil.copy(ROOT / "params.yaml", where)
    make_small(where / "params.yaml", **{**QUICK, **settings})
    probe("local", ROOT / "remote/devices.yaml", where / "facts/local.json")


@pytest.fixture(scope="module", params=[pytest.param(name, marks=pytest.mark.slow) for name in ("gaitset", "cnn2d")])
def measured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder with the table of a small model and the model itself, with fresh weights."""
    where, model = tmp_path_factory.mktemp("times"), request.param
    prepared(where, **LATENCY)
    done = times(where, model)
    assert done.returncode == 0, done.stderr
    settings = params.load(where / "params.yaml")
    entry = settings.entry(model)
    library = framework(entry.framework)
    (where / model).mkdir()
    library.save(library.build(model, entry, 7), where / model)
    outputs.write_json(where / model / "settings.json", {"model": {}})
    yield where, model


def test_a_network_is_pruned_to_the_time_that_was_asked_for(measured: tuple[Path, str]) -> None:
    where, model = measured
    table = read(where / f"times/local/{model}.json")
    assert (table["needed"], table["evidence"], table["data"]) == (True, "host", "none")
    learnt = TimeModel.of_json(table["times"])
    full = table["networks"][0]
    assert full == {"widths": dict(learnt.filters), "ms": table["dense_ms"]}
    assert len({tuple(network["widths"].values()) for network in table["networks"]}) == len(table["networks"])

    least = learnt.predict({name: min(4, filters) for name, filters in learnt.filters.items()})
    percentile = round(50 * (1 - least / table["dense_ms"]))
    done = prune(where, model, percentile)
    assert done.returncode == 0, done.stderr
    pruning = read(where / f"pruned/{model}/p{percentile}/pruning.json")
    time, widths = pruning["time"], {name: layer["after"] for name, layer in pruning["layers"].items()}
    assert time["device"] == "local"
    assert time["asked_ms"] == pytest.approx((1 - percentile / 100) * table["dense_ms"], abs=1e-4)
    assert time["predicted_ms"] == pytest.approx(learnt.predict(widths), abs=1e-4)
    assert time["predicted_ms"] <= time["asked_ms"] + 1e-4
    assert any(width < learnt.filters[name] for name, width in widths.items())
    assert all(width % 4 == 0 or width == learnt.filters[name] for name, width in widths.items())
    assert pruning["proof_error"] < TOLERANCE
    assert "ms predicted" in done.stdout
    # The device and the share of its time are among what the network was made with.
    made_with = read(where / f"pruned/{model}/p{percentile}/settings.json")["prune"]
    assert (made_with["mode"], made_with["device"], made_with["percentile"]) == ("latency", "local", percentile)


def test_percentile_0_leaves_the_network_whole(measured: tuple[Path, str]) -> None:
    where, model = measured
    done = prune(where, model, 0)
    assert done.returncode == 0, done.stderr
    pruning = read(where / f"pruned/{model}/p0/pruning.json")
    assert all(layer["before"] == layer["after"] for layer in pruning["layers"].values())
    assert pruning["time"]["predicted_ms"] == pruning["time"]["asked_ms"] == pruning["time"]["dense_ms"]


def test_a_time_that_cannot_be_reached_is_refused_with_the_least_that_can(measured: tuple[Path, str]) -> None:
    where, model = measured
    done = prune(where, model, 99.99)
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr and "ask for a percentile of at most" in done.stderr
    assert not (where / f"pruned/{model}/p99.99").exists()


def test_nothing_is_measured_or_loaded_where_no_times_are_needed(tmp_path: Path) -> None:
    prepared(tmp_path)
    shutil.rmtree(tmp_path / "facts")  # not even they are read
    done = times(tmp_path, "gaitset")
    assert done.returncode == 0, done.stderr
    assert "not needed" in done.stdout
    assert read(tmp_path / "times/local/gaitset.json") == {"needed": False}
    loading = (
        "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=False)"
    )
    after = "; print(sorted({'torch', 'keras', 'tensorflow', 'onnx', 'paramiko'} & set(sys.modules)))"
    command = [sys.executable, "-c", loading + after, "stages.times", "--params", tmp_path / "params.yaml"]
    command += ["--device", "local", "--model", "gaitset", "--devices", "remote/devices.yaml", "--facts", "none"]
    loaded = subprocess.run([*command, "--out", tmp_path / "again.json"], cwd=ROOT, text=True, capture_output=True)
    assert loaded.stdout.splitlines()[-1] == "[]", loaded.stderr


def test_another_device_than_the_one_pruned_for_measures_nothing(tmp_path: Path) -> None:
    prepared(tmp_path, **LATENCY, devices=["local", "board"])
    done = stage(
        tmp_path, "times", "--device", "board", "--model", "gaitset", "--devices", "no", "--facts", "no",
        "--out", tmp_path / "board.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert read(tmp_path / "board.json") == {"needed": False}


def test_without_a_table_pruning_says_what_makes_one(tmp_path: Path) -> None:
    prepared(tmp_path, **LATENCY)
    done = stage(tmp_path, "untimed", "--model", "gaitset", "--out", tmp_path / "times/local/gaitset.json")
    assert done.returncode == 0, done.stderr
    settings = params.load(tmp_path / "params.yaml")
    library = framework("torch")
    (tmp_path / "gaitset").mkdir()
    library.save(library.build("gaitset", settings.entry("gaitset"), 7), tmp_path / "gaitset")
    done = prune(tmp_path, "gaitset", 50)
    assert done.returncode == 1
    assert "holds no times; run `dvc repro times@local-gaitset`" in done.stderr


def test_a_time_far_from_what_was_asked_for_and_doubtful_times_are_reported() -> None:
    good = {"device": "local", "dense_ms": 10.0, "asked_ms": 5.0, "predicted_ms": 4.9, "error": 0.02}
    assert time_warnings(good) == []
    (coarse,) = time_warnings({**good, "predicted_ms": 5 * (1 - TIME_TOLERANCE) - 0.01})
    assert "a smaller prune.round_to" in coarse
    (doubtful,) = time_warnings({**good, "error": 0.08})
    assert "within 8.0 % only" in doubtful
