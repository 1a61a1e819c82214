"""The command that measures how many people a device serves, on a small network's engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gaitpress.commands.serve_study import picture
from gaitpress.commands.serve_study.study import doublings
from tests.support.device_world import World
from tests.support.toy import ROOT


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder laid out as the repository is, with a measured variant."""
    world = World(tmp_path_factory.mktemp("home"), percentiles=(0,))
    world.build()
    world.benchmark()
    world.recognise()
    where = world.where
    (where / "remote/facts").mkdir(parents=True)
    (where / "remote/facts/local.json").write_bytes(world.facts.read_bytes())
    (where / "remote/devices.yaml").write_bytes(world.devices.read_bytes())
    (where / "data").mkdir()
    for name in ("training", "preprocessed"):
        (where / "data" / name).symlink_to(where / name)
    return where


def study(home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gaitpress", "serve-study", "--seconds", "0.2", "--rate", "500", *options]
    return subprocess.run(
        command, cwd=home, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_a_study_has_a_cell_for_every_number_of_streams_and_batch(home: Path) -> None:
    options = ("--variant", "local/gaitset/p0-fp32", "--streams", "1", "2", "--batches", "1", "4", "--limit", "50ms")
    done = study(home, *options)
    assert done.returncode == 0, done.stderr
    found = json.loads((home / "results/serve/local/gaitset/p0-fp32/study.json").read_text())
    assert [(cell["streams"], cell["batch"]) for cell in found["cells"]] == [(1, 1), (1, 4), (2, 1), (2, 4)]
    assert all(cell["people"] >= 1 and cell["p99_ms"] <= 50 for cell in found["cells"])
    assert found["most_people"] == max(cell["people"] for cell in found["cells"])
    assert (found["variant"]["device"], found["evidence"], found["asked"]["rate"]) == ("local", "host", 500)
    assert f"the most: {found['most_people']} people" in done.stdout
    assert "gaitset p0 fp32 on local" in done.stdout
    assert (home / "results/serve/local/gaitset/p0-fp32/people.png").stat().st_size > 1000
    again = study(home, *options)
    assert again.returncode == 1
    assert "is there already; move it aside or choose another --out" in again.stderr


@pytest.mark.parametrize(("options", "said"), [
    (("--variant", "local/gaitset/p9-fp32"), "is none of params.yaml's, such as local/gaitset/p0-fp32"),
    (("--variant", "local/gaitset/p0-fp32", "--batches", "8", "--out", "other"), "takes at most 4; set export.max_batch"),
    (("--variant", "local/gaitset/p0-fp32", "--limit", "5"), "must be a number above 0 with a unit"),
])  # fmt: skip
def test_what_cannot_be_studied_is_said_before_anything_runs(home: Path, options: tuple[str, ...], said: str) -> None:
    done = study(home, *options)
    assert done.returncode != 0
    assert said in done.stderr


def test_streams_and_batches_double() -> None:
    assert [doublings(most) for most in (1, 2, 6, 8)] == [[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8]]


def test_a_cell_without_figures_leaves_the_picture_whole(tmp_path: Path) -> None:
    cells = [
        {"streams": 1, "batch": 1, "people": 7, "energy_mj_per_inference": 2.5},
        {"streams": 1, "batch": 2, "people": None, "reason": "out of memory"},
    ]
    variant = {"device": "board", "model": "gaitset", "percentile": 0, "precision": "fp32"}
    asked = {"rate": 25, "limit_ms": 100, "wait_ms": 10, "duration_s": 2}
    result = {"cells": cells, "streams": [1], "batches": [1, 2], "variant": variant, "asked": asked}
    picture.write(tmp_path, {**result, "machine": "A board", "evidence": "simulated"})
    assert (tmp_path / "people.png").stat().st_size > 1000
