"""A training whose settings or code are edited meanwhile is not recorded, and taken up once the edit is taken back."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gaitpress import outputs, params
from stages.partition import training_code
from tests.support.device_world import World
from tests.support.toy import copy_repository, environment, make_small, run
from workflow.dvc.stages import read_yaml

# What a job of Snakemake runs, and plain DVC.
ENGINES = {
    "dvc": ["dvc", "repro", "-s", "train@gaitset"],
    "snakemake": [sys.executable, "-m", "workflow.dvc.run_stage", "train@gaitset"],
}
EDITS = {
    "parameter": (
        "params.yaml",
        "lr: 4e-3",
        "lr: 2e-3",
        "params.yaml: model.gaitset.optimizer.lr (0.004 at its start, 0.002 now)",
    ),
    "code": (
        "gait/models/gaitset.py",
        "",
        "\n# edited\n",
        "gait/models/gaitset.py: edited while train@gaitset ran",
    ),
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """This repository, with sequences to train with."""
    copy_repository(tmp_path)
    make_small(tmp_path / "params.yaml", models=["gaitset"], **{"model.gaitset.schedule.iterations": 50})
    World.at(tmp_path / "data").write_store()
    settings = params.load(tmp_path / "params.yaml")
    code = training_code(settings.entry("gaitset"), settings.datasets["walkers"].partition)
    outputs.write_json(tmp_path / "data/code/gaitset.json", code)
    return tmp_path


def edit(repository: Path, kind: str) -> str:
    """Edit a file; what was in it."""
    name, before, after, _ = EDITS[kind]
    file = repository / name
    text = file.read_text()
    changed = text.replace(before, after, 1) if before else text + after
    assert changed != text
    file.write_text(changed)
    return text


def edited_while_training(repository: Path, engine: str, kind: str) -> tuple[str, str]:
    """Edit as soon as the training has begun; what was there before, and what the engine said when it ended."""
    with subprocess.Popen(
        ENGINES[engine], cwd=repository, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        while not (repository / "results/train/.gaitset.begun/key").exists():
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.02)
        before = edit(repository, kind)
        output = process.communicate()[0]
    assert process.returncode, output
    return before, output


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "kind"), [("dvc", "parameter"), ("snakemake", "code")])
def test_a_finished_training_is_taken_up_as_it_stands_once_the_edit_is_taken_back(
    repository: Path, engine: str, kind: str
) -> None:
    before, output = edited_while_training(repository, engine, kind)
    assert EDITS[kind][3] in output
    assert not (repository / "results/train/gaitset").exists()
    (kept,) = (repository / "results/train").iterdir()
    assert f"It is kept as results/train/{kept.name}." in output
    assert not (repository / "dvc.lock").exists()
    weights = {file.name: file.read_bytes() for file in kept.iterdir()}
    (repository / EDITS[kind][0]).write_text(before)
    other = next(name for name in ENGINES if name != engine)
    assert "results/train/gaitset: taken up as it was finished before" in run(ENGINES[other], repository)
    assert {file.name: file.read_bytes() for file in (repository / "results/train/gaitset").iterdir()} == weights
    assert [path.name for path in (repository / "results/train").iterdir()] == ["gaitset"]
    assert "didn't change, skipping" in run(ENGINES[engine], repository)
    recorded = read_yaml(repository / "dvc.lock")["stages"]["train@gaitset"]["params"]["params.yaml"]
    made_with = json.loads((repository / "results/train/gaitset/settings.json").read_text())
    assert made_with["model"]["optimizer"]["lr"] == recorded["model.gaitset"]["optimizer"]["lr"] == 4e-3


@pytest.mark.slow
def test_with_the_edit_it_is_trained_anew_and_what_was_finished_stays(repository: Path) -> None:
    before, _ = edited_while_training(repository, "snakemake", "parameter")
    assert "taken up" not in run(ENGINES["dvc"], repository)
    made_with = json.loads((repository / "results/train/gaitset/settings.json").read_text())
    assert made_with["model"]["optimizer"]["lr"] == 2e-3
    (repository / "params.yaml").write_text(before)
    assert "taken up as it was finished before" in run(ENGINES["dvc"], repository)
