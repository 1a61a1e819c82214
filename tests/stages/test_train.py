"""The stage train, by its command, where training starts from a file of weights."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML

from gait import protocols
from gait.data.partitions import partition_for
from gait.data.prepared.sequences import SequenceStore
from gait.data.prepared.sets import TrainingSet
from gait.embedding import embed
from gait.networks import torch_model
from gait.processes import Processes
from gaitpress import outputs, params
from tests.support import commands
from tests.support import foreign_networks as foreign
from tests.support.device_world import World
from tests.support.families import some
from tests.support.killing import kill_once_there
from tests.support.toy import ROOT

BINS = [4, 1]
ENV = {**os.environ, "PYTHONPATH": str(ROOT)}  # logs and mlflow.db are written where the stage is started


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("train"), (0,))


@pytest.fixture(scope="module")
def published() -> foreign.GaitSet:
    torch.manual_seed(0)
    return foreign.GaitSet(4, 8, 12, 6, BINS).eval()


def command(world: World, out: Path, iterations: int, **changes: Any) -> list[str]:
    section, training = changes.pop("section", {}), changes.pop("training", world.training)
    data = YAML(typ="safe", pure=True).load(world.params.read_text(encoding="utf-8"))
    entry = data["model"]["gaitset"]
    entry.update(architecture={"channels": [4, 8, 12], "embedding": 6, "bins": BINS}, width=1, **changes)
    entry["schedule"] = {"iterations": iterations, "milestones": [], "gamma": 0.1}
    data["train"].update(section)
    params = out.with_name(f"{out.name}.yaml")
    YAML().dump(data, params)
    command = [sys.executable, "-m", "stages.train", "--model", "gaitset", "--params", str(params), "--out", str(out)]
    command += ["--training", str(training)]
    return [*command, "--preprocessed", str(world.where / "preprocessed")]


def train(world: World, out: Path, iterations: int, **changes: Any) -> subprocess.CompletedProcess[str]:
    where = out.parent / "working"
    where.mkdir(exist_ok=True)
    words = command(world, out, iterations, **changes)
    if "section" in changes:  # several processes start from a program of their own
        return subprocess.run(words, cwd=where, env=ENV, capture_output=True, text=True)
    return commands.stage("train", *words[3:], cwd=where)


def test_no_iterations_take_published_weights_as_they_are(world: World, published: Any, tmp_path: Path) -> None:
    torch.save({"model": published.state_dict(), "iteration": 42000}, tmp_path / "GaitSet-42000.pt")
    done = train(world, tmp_path / "out", 0, init=str(tmp_path / "GaitSet-42000.pt"))
    assert done.returncode == 0, done.stderr
    assert "GaitSet-42000.pt: read as gaitset of OpenGait" in done.stdout
    frames = torch.rand(1, 5, 64, 44)
    with torch.inference_mode():
        expected = published(frames)
        computed = torch_model.load(tmp_path / "out")(frames)
    assert (computed - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert json.loads((tmp_path / "out/history.json").read_text()) == []
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert metrics["params"] == sum(tensor.numel() for tensor in published.parameters())


def test_training_goes_on_from_what_was_trained_before(world: World, tmp_path: Path) -> None:
    assert train(world, tmp_path / "first", 2).returncode == 0
    done = train(world, tmp_path / "second", 1, init={"path": str(tmp_path / "first"), "bnneck": "by-part"})
    assert done.returncode == 0, done.stderr
    first, second = (torch_model.load(tmp_path / name).state_dict() for name in ("first", "second"))
    # One step of Adam moves a weight by about the learning rate.
    most = 2 * params.load("params.yaml").model["gaitset"].optimizer.lr
    assert all(0 < (first[name] - second[name]).abs().max() < most for name in first)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist"),
        (b"\x80\x02cos\nsystem\n(S'touch owned'\ntR.", "posix system"),
        (b"weights", "no file of weights"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_and_leaves_no_model(
    world: World, tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "weights.pt"
    if content is not None:
        file.write_bytes(content)
    done = train(world, tmp_path / "out", 0, init=str(file))
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert str(file) in line
    assert said.split()[-1] in line
    assert not (tmp_path / "out").exists()
    assert not (ROOT / "owned").exists()


class TestInterrupted:
    """A training that is killed leaves no model, and the same command goes on with it."""

    def killed(self, command: list[str], where: Path, name: str) -> None:
        """Start it, and kill it and its processes once it has a checkpoint."""
        kill_once_there(command, where, where / f".{name}.begun/phase1/checkpoint", env=ENV)

    @pytest.mark.slow
    @pytest.mark.parametrize("processes", [1, 2])
    def test_by_kill_9(self, world: World, tmp_path: Path, processes: int) -> None:
        settings = {"processes": processes, "checkpoint_s": 0.1}
        whole = command(world, tmp_path / "whole", 150, section=settings)
        assert subprocess.run(whole, cwd=tmp_path, env=ENV).returncode == 0
        again = command(world, tmp_path / "again", 150, section=settings)
        self.killed(again, tmp_path, "again")
        assert not (tmp_path / "again").exists()
        assert list(tmp_path.glob(".again.begun/phase1/checkpoint"))
        # Processes that it started end with it; until then the folder is theirs.
        for _ in range(100):
            done = subprocess.run(again, cwd=tmp_path, env=ENV, capture_output=True, text=True)
            if "another process is making it" not in done.stderr:
                break
            time.sleep(0.1)
        assert done.returncode == 0, done.stderr
        assert re.search("going on from .*again.begun/phase1/checkpoint, after [0-9]+", done.stderr)
        for name in ("weights.safetensors", "history.json", "metrics.json"):
            assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
        assert not list(tmp_path.glob(".again*"))

    @pytest.mark.slow
    def test_with_other_settings_training_starts_from_the_start(self, world: World, tmp_path: Path) -> None:
        self.killed(command(world, tmp_path / "out", 500, section={"checkpoint_s": 0.1}), tmp_path, "out")
        done = subprocess.run(command(world, tmp_path / "out", 2), cwd=tmp_path, env=ENV, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "going on from" not in done.stderr
        assert len(json.loads((tmp_path / "out/history.json").read_text())) == 2

    @pytest.mark.slow
    def test_by_ctrl_c(self, world: World, tmp_path: Path) -> None:
        process = subprocess.Popen(
            command(world, tmp_path / "out", 5000, section={"checkpoint_s": 0.1}),
            cwd=tmp_path, env=ENV, stderr=subprocess.PIPE, text=True,
            # Tests may run in the background of a shell, where Ctrl-C is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        while not (tmp_path / ".out.begun/phase1/checkpoint").exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
        assert process.returncode == 1
        assert "interrupted" in said.splitlines()[-1]
        assert not (tmp_path / "out").exists()
        assert (tmp_path / ".out.begun/phase1/checkpoint").exists()


@pytest.mark.slow
def test_several_processes_are_started_from_params_yaml(world: World, tmp_path: Path) -> None:
    one, two = (train(world, tmp_path / name, 3, section={"processes": int(name)}) for name in ("1", "2"))
    assert one.returncode == two.returncode == 0, two.stderr
    losses = [[row["loss"] for row in json.loads((tmp_path / name / "history.json").read_text())] for name in ("1", "2")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert two.stdout.count("multiply-adds") == 1


@pytest.mark.slow
def test_an_error_in_several_processes_is_reported_without_a_stack(world: World, tmp_path: Path) -> None:
    done = train(
        world, tmp_path / "out", 3, section={"processes": 2}, augment=[{"name": "flip", "probability": 1, "degrees": 3}]
    )
    assert done.returncode == 1
    assert "error: augment flip: takes no settings, not degrees" in done.stderr
    assert "Traceback" not in done.stderr
    assert "ChildFailedError" not in done.stderr


def with_people_set_aside(world: World, path: Path) -> Path:
    """A training set of two people, with two set aside and the fifth for the test."""
    store = SequenceStore.open(world.where / "preprocessed/silhouette")
    training, _ = partition_for("gaitset", store, {"protocol": "casia-b", "train_subjects": 4}, "euclidean", 2)
    outputs.write_json(path, training.to_json())
    return path


@pytest.mark.parametrize("keep", some(["last", "best"], "best"))
def test_a_training_is_tested_on_people_set_aside(world: World, tmp_path: Path, keep: str) -> None:
    training = with_people_set_aside(world, tmp_path / "training.json")
    asked = {"identities": 2, "every": 2, "keep": keep}
    done = train(world, tmp_path / "out", 5, validation=asked, training=training)
    assert done.returncode == 0, done.stderr
    history = json.loads((tmp_path / "out/history.json").read_text())
    rates = {row["iteration"]: row["validation_rank1"] for row in history if "validation_rank1" in row}
    assert list(rates) == [2, 4, 5]
    kept = 5 if keep == "last" else max(number for number, rate in rates.items() if rate == max(rates.values()))
    metrics = json.loads((tmp_path / "out/metrics.json").read_text())
    assert (metrics["kept_after"], metrics["validation_rank1"]) == (kept, rates[kept])
    assert f"; weights after {kept} of 5: rank-1 of people set aside {rates[kept]:.1f} %" in done.stdout
    # The weights that were kept have this rate.
    model = torch_model.load(tmp_path / "out")
    watched = TrainingSet.load(training).validation()
    store = SequenceStore.open(world.where / "preprocessed/silhouette")
    assert watched is not None
    signatures = embed(model, store, watched.positions, Processes())
    assert signatures is not None
    assert protocols.evaluate(signatures, store.sequences, watched)["rank1"]["mean"] == pytest.approx(rates[kept])
    (events,) = (tmp_path / "working/logs/tensorboard/train/gaitset").glob("*/events*")
    assert b"validation_rank1" in events.read_bytes()


@pytest.mark.slow
def test_several_processes_test_a_training_together(world: World, tmp_path: Path) -> None:
    training = with_people_set_aside(world, tmp_path / "training.json")
    asked = {"identities": 2, "every": 1, "keep": "best", "patience": 2}
    done = train(world, tmp_path / "out", 6, validation=asked, training=training, section={"processes": 2})
    assert done.returncode == 0, done.stderr
    history = json.loads((tmp_path / "out/history.json").read_text())
    assert all(0 <= row["validation_rank1"] <= 100 for row in history)
    assert len(history) < 6 or history[-1]["validation_rank1"] > history[0]["validation_rank1"]


def test_curves_are_written_while_training(world: World, tmp_path: Path) -> None:
    assert train(world, tmp_path / "out", 3).returncode == 0
    assert list((tmp_path / "working/logs/tensorboard/train/gaitset").glob("*/events*"))
