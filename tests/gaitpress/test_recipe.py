"""Recipes are complete and valid, hold the published figures, and replace nothing without keeping it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gaitpress import params
from gaitpress.commands import recipe
from tests.support.toy import ROOT

PUBLISHED = ["casia-b", "oumvlp", "tum-gaid"]
NAMES = sorted([*PUBLISHED, "embedded-gait"])


def call(where: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gaitpress", "recipe", "--params", str(where / "params.yaml"), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture
def where(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


def test_all_recipes_are_listed_with_what_they_are() -> None:
    assert list(recipe.available()) == NAMES
    listed = subprocess.run([sys.executable, "-m", "gaitpress", "recipe"], cwd=ROOT, capture_output=True, text=True).stdout
    assert [line.split()[0] for line in listed.splitlines()] == NAMES
    assert sum("as published" in line for line in listed.splitlines()) == len(PUBLISHED)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_is_a_valid_params_file_at_the_published_width(name: str) -> None:
    settings = params.load(recipe.RECIPES / f"{name}.yaml")
    assert settings.dataset == name
    assert settings.datasets[name].partition.protocol == name
    assert {entry.width for entry in settings.model.values()} == {1}
    assert set(settings.model) == set(settings.finetune), "every model can be chosen"
    assert {entry.modality for entry in settings.model.values()} <= set(settings.preprocess)


def test_gaitset_has_its_published_schedules() -> None:
    casia, oumvlp = (params.load(recipe.RECIPES / f"{name}.yaml").model["gaitset"] for name in ("casia-b", "oumvlp"))
    assert (casia.schedule.iterations, casia.schedule.milestones) == (40000, [10000, 20000, 30000])
    assert (casia.optimizer.name, casia.optimizer.lr, casia.optimizer.momentum, casia.optimizer.weight_decay) == (
        "sgd", 0.1, 0.9, 5e-4,
    )  # fmt: skip
    assert (casia.sampling.identities, casia.sampling.sequences, casia.sampling.frames) == (8, 16, 30)
    assert (oumvlp.schedule.iterations, oumvlp.schedule.milestones) == (250000, [150000])
    assert (oumvlp.optimizer.name, oumvlp.optimizer.lr, oumvlp.sampling.identities) == ("adam", 1e-4, 32)
    assert oumvlp.architecture["channels"] == [64, 128, 256]


@pytest.mark.parametrize(("name", "dense"), [("casia-b", 4096), ("tum-gaid", 2048)])
def test_the_2d_cnn_has_its_published_schedule(name: str, dense: int) -> None:
    model = params.load(recipe.RECIPES / f"{name}.yaml").model["cnn2d"]
    schedule = model.schedule
    assert model.architecture["dense"] == dense
    assert (model.optimizer.name, model.optimizer.lr, model.optimizer.momentum, model.batch) == ("sgd", 0.01, 0.9, 150)
    assert (schedule.epochs, schedule.extra_epochs, schedule.extra_lr, schedule.min_lr) == (150, 50, 1e-3, 1e-5)
    assert (schedule.plateau_factor, schedule.plateau_patience, schedule.stop_patience) == (0.2, 3, 5)
    assert model.augment


def test_a_recipe_is_taken_and_the_former_file_kept(where: Path) -> None:
    mine = (where / "params.yaml").read_text()
    done = call(where, "casia-b")
    assert done.returncode == 0
    assert "-dataset: walkers" in done.stdout
    assert "+dataset: casia-b" in done.stdout
    assert (where / "params.yaml").read_bytes() == (recipe.RECIPES / "casia-b.yaml").read_bytes()
    assert (where / "params.before-casia-b.yaml").read_text() == mine
    assert "already" in call(where, "casia-b").stdout
    # Again, with another file of the user's: the first one kept stays.
    (where / "params.yaml").write_text("mine: too\n")
    assert call(where, "casia-b").returncode == 0
    assert (where / "params.before-casia-b.yaml").read_text() == mine
    assert (where / "params.before-casia-b-2.yaml").read_text() == "mine: too\n"


def test_showing_changes_nothing(where: Path) -> None:
    before = (where / "params.yaml").read_bytes()
    assert "+dataset: tum-gaid" in call(where, "tum-gaid", "--show").stdout
    assert (where / "params.yaml").read_bytes() == before
    assert [path.name for path in where.iterdir()] == ["params.yaml"]


def test_the_whole_deployment_study_is_planned(where: Path) -> None:
    settings = params.load(recipe.RECIPES / "embedded-gait.yaml")
    assert (settings.models, settings.devices) == (["cnn2d", "cnn3d", "gaitset"], ["nano", "xavier"])
    assert settings.precisions == ["fp32", "fp16", "int8", "best"]
    assert settings.prune.mode == "published"
    assert {10, 20, 30, 40, 50, 80} < set(settings.prune.percentiles)
    assert {entry.width for entry in settings.model.values()} == {1}
    assert {1, 8} == set(settings.benchmark.sweep)
    told = call(where, "embedded-gait", "--show").stdout
    # 3 models at 7 percentiles, in 4 precisions, on 2 boards.
    for name, count in (("trainings", 3), ("networks", 21), ("precisions", 84), ("engines", 168)):
        assert re.search(rf"^{name} +{count} ", told, flags=re.M)
    for board in ("nano", "xavier"):
        assert f"python -m remote add {board} ssh://you@host --runtime tensorrt" in told


def test_an_unknown_recipe_is_told_with_what_there_is(where: Path) -> None:
    done = call(where, "casiab")
    assert done.returncode == 1
    assert done.stderr == "error: no recipe casiab; did you mean casia-b?\n"
