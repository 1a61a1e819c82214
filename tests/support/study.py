"""A small real study, measured on a device and shipped: walkers, their silhouettes, an engine and its record."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from gaitpress.commands.bundle import bundle
from gaitpress.commands.bundle.places import Places
from gaitpress.results.folders import Folders
from gaitpress.results.records import Row, load
from tests.support import commands
from tests.support.device_world import World
from tests.support.toy import make_small
from tests.support.walks import RANK1


class Study(World):
    """A world whose store is of real walkers: the raw frames are there too."""

    def write_store(self) -> None:
        walkers = {"difficulty": 0.8, "noise": 0.8, "frames": 14}
        make_small(self.params, **{f"datasets.walkers.{key}": value for key, value in walkers.items()})
        self.write_params({"models": ["gaitset"], "percentiles": [50], "precisions": ["fp32"], "modalities": ["silhouette"]})
        self.stage("dataset", "--out", self.where / "raw/walkers")
        options = ["--dataset", self.where / "raw/walkers", "--out", self.where / "preprocessed/silhouette"]
        self.stage("preprocess", "--modality", "silhouette", *options)
        options = ["--training", self.training, "--test", self.test, "--code", self.where / "code.json"]
        options += ["--protocol", self.where / "protocol.json"]
        self.stage("partition", "--model", "gaitset", "--preprocessed", self.where / "preprocessed", *options)

    def stage(self, name: str, *options: str | Path) -> None:
        commands.stage(name, "--params", self.params, *options).check_returncode()


def row(study: Study) -> Row:
    [only] = load(study.records, study.settings)
    return only


def ship(study: Study, out: Path) -> Path:
    bundle(row(study), Places.of(row(study), Folders(study.where / "results")), out)
    return out


def plain_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def rank1_of(python: str | Path, shipped: Path, walks: Path, where: Path) -> dict[str, float]:
    """What the shipped program finds, run by an interpreter that sees nothing of ours."""
    command = [str(python), "-I", "-c", RANK1, str(shipped), str(walks)]
    done = subprocess.run(command, cwd=where, env=plain_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def claimed(study: Study) -> dict[str, float]:
    rank1 = json.loads(study.rates(50).read_text())["accuracy"]["rank1"]
    rates = {"mean": rank1["mean"]} | {kind: figures["rate"] for kind, figures in rank1["conditions"].items()}
    assert set(rates) == {"nm", "bg", "cl", "mean"}
    return {kind: pytest.approx(rate, abs=1e-3) for kind, rate in rates.items()}
