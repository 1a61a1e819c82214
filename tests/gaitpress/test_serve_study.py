"""The command that measures how many people a device serves, on a small network's engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gaitpress import outputs, params
from gaitpress.commands.select.choice import served
from gaitpress.commands.serve_study import picture
from gaitpress.commands.serve_study.study import doublings
from gaitpress.results.folders import Folders
from gaitpress.results.records import Row, load
from report.page import render
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
    written = json.loads((home / "results/serve/local/gaitset/p0-fp32/study.json").read_text())
    assert [(cell["streams"], cell["batch"]) for cell in written["cells"]] == [(1, 1), (1, 4), (2, 1), (2, 4)]
    assert all(cell["people"] >= 1 and cell["p99_ms"] <= 50 for cell in written["cells"])
    assert written["most_people"] == max(cell["people"] for cell in written["cells"])
    assert (written["variant"]["device"], written["evidence"], written["asked"]["rate"]) == ("local", "host", 500)
    assert f"the most: {written['most_people']} people" in done.stdout
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


def studied(home: Path, **changes: Any) -> None:
    """Write a study of the variant, as the command writes it."""
    built = json.loads((home / "results/build/local/gaitset/p0-fp32/build.json").read_text())
    identity = {key: built[key] for key in ("key", "sha256", "onnx_sha256", "runtime", "version")}
    cells = [
        {"streams": streams, "batch": batch, "people": people, "p99_ms": 40.0, "throughput_per_s": 990.0, "reason": None,
         "energy_mj_per_inference": None}
        for streams, batch, people in ((1, 1, 7), (1, 4, 11), (2, 1, 23))
    ]  # fmt: skip
    cells.append({"streams": 2, "batch": 4, "people": None, "reason": "no memory"})
    study = {
        "engine": identity,
        "evidence": "host",
        "machine": "a processor",
        "asked": {"rate": 40.0, "limit_ms": 50.0, "wait_ms": 10.0, "duration_s": 2.0},
        "streams": [1, 2],
        "batches": [1, 4],
        "cells": cells,
        "most_people": 23,
        "measured_at": "2026-01-02T03:04:05+00:00",
    }
    outputs.write_json(home / "results/serve/local/gaitset/p0-fp32/study.json", {**study, **changes})


class TestStudies:
    @pytest.fixture(autouse=True)
    def afresh(self, home: Path) -> Iterator[None]:
        yield
        shutil.rmtree(home / "results/serve", ignore_errors=True)

    def row(self, home: Path) -> Row:
        (row,) = load(Folders(home / "results"), params.load(home / "params.yaml"))
        return row

    def test_people_are_those_of_the_study_at_its_rate(self, home: Path) -> None:
        unstudied = {fps: served(self.row(home), fps) for fps in (40.0, 20.0)}
        studied(home)
        assert served(self.row(home), 40.0) == 23 != unstudied[40.0]
        assert served(self.row(home), 20.0) == unstudied[20.0]

    def test_a_study_of_a_former_engine_counts_no_more(self, home: Path) -> None:
        studied(home, engine={"key": "another"})
        assert self.row(home).study is None

    def test_a_study_in_which_nothing_ran_tells_nothing(self, home: Path) -> None:
        unstudied = served(self.row(home), 40.0)
        studied(home, cells=[{"streams": 1, "batch": 1, "people": None, "reason": "no memory"}], most_people=0)
        assert served(self.row(home), 40.0) == unstudied

    def test_the_page_has_its_heat_map(self, home: Path) -> None:
        def page() -> str:
            return render([self.row(home)], Folders(home / "results"), home, params.load(home / "params.yaml"))

        assert "People served at once" not in page()
        studied(home)
        shown = page()
        assert "gaitset p0 fp32 on local: 23 people" in shown
        assert "40 inferences a second each, 99 % of answers within 50 ms" in shown
        assert '<td style="--share: 1.0" title="99 % within 40.0 ms; at most 990 inferences/s">23</td>' in shown
        assert '<td style="--share: 0" title="no memory">–</td>' in shown
        assert "mJ an inference</caption>" not in shown
