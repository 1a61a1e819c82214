"""A training that is killed again and again ends as one that ran undisturbed, bit for bit."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from ruamel.yaml import YAML

from gait.data.partitions import partition_for
from gait.data.prepared.sequences import SequenceStore
from gaitpress import outputs
from tests.support import flow
from tests.support.device_world import World
from tests.support.toy import ROOT

KILLS = 20
ENV = {**os.environ, "PYTHONPATH": str(ROOT)}
RULES = {"protocol": "casia-b", "train_subjects": 4}
# Every test on people set aside has a say in the result: the best weights are kept, and they must outlast a kill.
VALIDATION = {"identities": 2, "every": 3, "keep": "best"}


def silhouettes(where: Path) -> SequenceStore:
    World(where, (0,))
    return SequenceStore.open(where / "preprocessed/silhouette")


def optical_flow(where: Path) -> SequenceStore:
    return flow.written(where / "preprocessed/flow")


# The model of each framework, who makes its data, how far its metric goes, and the settings that make its training small but
# long enough for twenty kills.
FRAMEWORKS: dict[str, tuple[str, Callable[[Path], SequenceStore], str, dict[str, Any], dict[str, Any]]] = {
    "torch": (
        "gaitset",
        silhouettes,
        "euclidean",
        {
            "architecture": {"channels": [4, 8, 12], "embedding": 6, "bins": [4, 1]},
            "width": 1,
            "schedule": {"iterations": 300, "milestones": [200], "gamma": 0.1},
            "sampling": {"identities": 2, "sequences": 2, "frames": 6, "order": "unordered"},
            "augment": [{"name": "flip", "probability": 0.5}],
        },
        {"iterations": 300, "milestones": [200], "lr": 1e-3},
    ),
    "keras": (
        "cnn2d",
        optical_flow,
        "cosine",
        {
            "width": 0.0625,
            "schedule": {
                "epochs": 60, "plateau_factor": 0.2, "plateau_patience": 3, "min_lr": 1e-5, "stop_patience": 100,
                "extra_epochs": 20, "extra_lr": 3e-4,
            },
        },
        {"epochs": 80, "decay": "cosine", "lr": 1e-3},
    ),
}  # fmt: skip


class Trainings:
    """The stages that train a model, in a folder of their own."""

    def __init__(self, where: Path, framework: str) -> None:
        self.where = where
        self.model, written, distance, entry, finetune = FRAMEWORKS[framework]
        training, _ = partition_for(self.model, written(where), RULES, distance, 2)
        outputs.write_json(where / "training.json", training.to_json())
        data = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        data["model"][self.model].update(entry, validation=VALIDATION)
        data["finetune"][self.model] = finetune
        data["train"].update(checkpoint_s=0.2)
        data["prune"].update(criterion="l1", reconstruct=False)
        YAML().dump(data, where / "params.yaml")

    def command(self, stage: str, out: str) -> list[str]:
        words = ["--model", self.model, "--preprocessed", "preprocessed", "--training", "training.json", "--out", out]
        words += {
            "train": [],
            "prune": ["--percentile", "50", "--dense", "dense"],
            "finetune": ["--percentile", "50", "--pruned", "pruned"],
        }[stage]
        return [sys.executable, "-m", f"stages.{stage}", *words]

    def run(self, stage: str, out: str) -> str:
        done = subprocess.run(self.command(stage, out), cwd=self.where, env=ENV, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def undisturbed(self, stage: str, out: str) -> tuple[float, float]:
        """Run a stage; the seconds of work until its training has begun, and those of the whole."""
        first = last = 0.0
        process = psutil.Popen(self.command(stage, out), cwd=self.where, env=ENV)
        while process.poll() is None:
            last = worked(process) or last
            if not first and (self.where / f".{out}.begun/phase1/checkpoint").exists():
                first = last
            time.sleep(0.01)
        assert process.returncode == 0
        return first, last

    def killed(self, stage: str, out: str, after_s: float) -> bool:
        """Start a stage and kill it after so much work, with no chance to tidy up; whether it still ran then."""
        process = psutil.Popen(self.command(stage, out), cwd=self.where, env=ENV, stderr=subprocess.DEVNULL)
        while process.poll() is None and worked(process) < after_s:
            time.sleep(0.01)
        process.kill()
        return bool(process.wait() == -signal.SIGKILL)


def worked(process: psutil.Popen) -> float:
    """Seconds of processor time of a process: unlike the clock, they tell how far it is on a busy computer."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def content(folder: Path) -> dict[str, bytes]:
    """The content of its files; of a model of Keras, whose file has dates and numbers of objects in it, the weights."""
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    if "model.keras" in files:
        files["model.keras"] = zipfile.ZipFile(folder / "model.keras").read("model.weights.h5")
    return files


# Each takes two to five minutes: a process that starts and is killed twenty times, with a framework to import each time.
@pytest.mark.slow
@pytest.mark.parametrize("stage", ["train", "finetune"])
@pytest.mark.parametrize("framework", ["torch", "keras"])
def test_a_training_that_is_killed_twenty_times_has_the_weights_of_one_that_ran_through(
    tmp_path: Path, framework: str, stage: str
) -> None:
    if framework == "keras":
        pytest.importorskip("tensorflow")
    trainings = Trainings(tmp_path, framework)
    if stage == "finetune":
        trainings.run("train", "dense")
        trainings.run("prune", "pruned")
    begins, ends = trainings.undisturbed(stage, "whole")
    moments = random.Random(f"{framework} {stage}")
    for _ in range(KILLS):
        after_s = moments.uniform(0.7 * begins, begins + 0.05 * (ends - begins))
        assert trainings.killed(stage, "again", after_s), "it ended before it was killed: it must train for longer"
        assert not (tmp_path / "again").exists()
    assert "going on from" in trainings.run(stage, "again")
    whole, again = (content(tmp_path / name) for name in ("whole", "again"))
    assert again == whole
    assert not list(tmp_path.glob(".again*"))
    shutil.rmtree(tmp_path / "preprocessed")
