"""The record of live recognition, of real engines on this computer and behind an SSH server, and on the page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from ruamel.yaml import YAML

from gaitpress import outputs
from gaitpress.commands.watch_study import in_words
from gaitpress.results.folders import Folders
from gaitpress.results.records import load
from remote.errors import DeviceError
from report.page import render
from simulator.ssh_server import Server
from stages.probe import probe
from tests.support.study import Study
from tests.support.toy import ROOT

BOARD = b"NVIDIA Jetson Orin Nano Developer Kit\0"
RECORD = Path("results/watch/local/gaitset/p50-fp32.json")


def at_home(study: Study) -> Path:
    """The study's folder, laid out as the repository is."""
    where = study.where
    outputs.write_text(where / "remote/facts/local.json", study.facts.read_text())
    outputs.write_text(where / "remote/devices.yaml", study.devices.read_text())
    (where / "data").mkdir()
    for name in ("training", "preprocessed"):
        (where / "data" / name).symlink_to(where / name)
    return where


def watch_study(home: Path, *people: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gaitpress", "watch-study", "--variant", "local/gaitset/p50-fp32", "--seconds", "2"]
    command += ["--people", *map(str, people)]
    return subprocess.run(command, cwd=home, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)


def measured(study: Study) -> None:
    assert study.build(50)["status"] == "ok"
    study.benchmark(50)
    study.recognise(50)


@pytest.mark.slow  # it renders a film of 14 s for each number of people, and plays it
def test_the_record_has_latency_rates_and_shares_for_each_number_of_people(tmp_path: Path) -> None:
    study = Study(tmp_path, percentiles=(50,))
    measured(study)
    home = at_home(study)
    done = watch_study(home, 1, 4)
    assert done.returncode == 0, done.stderr
    record = json.loads((home / RECORD).read_text())
    assert (record["evidence"], record["data"], record["variant"]["percentile"]) == ("host", "synthetic", 50)
    assert (record["device"], record["opencv"]) == (json.loads(study.facts.read_text()), cv2.__version__)
    assert [cell["people"] for cell in record["cells"]] == [1, 4]
    for cell in record["cells"]:
        assert cell["frames"] > 0 and cell["windows"] > 0
        assert abs(cell["most_people"] - cell["people"]) <= 1
        assert 0 < cell["latency_ms"]["median"] <= cell["latency_ms"]["p99"]
        assert sum(cell["share"].values()) == pytest.approx(1)
        assert cell["cpu_s"] > 0
    assert record["cells"][1]["windows"] + record["cells"][1]["windows_dropped"] > record["cells"][0]["windows"]
    assert len(done.stdout.splitlines()) == 2
    again = watch_study(home, 1)
    words = f"error: {RECORD}: is there already; move it aside or choose another --out\n"
    assert (again.returncode, again.stderr) == (1, words)


@pytest.mark.slow  # an environment with OpenCV is installed, and two films of 14 s are rendered and watched
def test_a_simulated_boards_own_environment_gets_opencv_and_its_record_says_simulated(
    tmp_path: Path, servers: Callable[..., Server]
) -> None:
    root = tmp_path / "played"
    (root / "proc/device-tree").mkdir(parents=True)
    (root / "proc/device-tree/model").write_bytes(BOARD)
    server = servers("played", GAITPRESS_SIMULATED_ROOT=str(root))
    (tmp_path / "study").mkdir()
    study = Study(tmp_path / "study", percentiles=(50,))
    YAML().dump({"local": {"transport": server.address, "runtime": "onnxruntime"}}, study.devices)
    try:
        probe("local", study.devices, study.facts)
    except DeviceError as error:
        pytest.skip(f"no package registry: {error}")
    measured(study)
    home = at_home(study)
    python = server.home / "python/bin/python"
    versions = [python, "-c", "import numpy, onnxruntime; print(numpy.__version__, onnxruntime.__version__)"]
    before = subprocess.run(versions, capture_output=True).stdout
    assert subprocess.run([python, "-c", "import cv2"], capture_output=True).returncode
    done = watch_study(home, 1)
    assert done.returncode == 0, done.stderr
    assert "local: installing OpenCV into our environment there, once\n" in done.stderr
    assert subprocess.run(versions, capture_output=True).stdout == before
    record = json.loads((home / RECORD).read_text())
    assert (record["evidence"], record["machine"]) == ("simulated", BOARD.decode().strip("\0"))
    [cell] = record["cells"]
    assert cell["windows"] > 0
    assert cell["frames"] > 0
    [row] = load(study.records, study.settings)
    assert row.watched == record
    (home / RECORD).rename(home / "before.json")
    again = watch_study(home, 1)
    assert again.returncode == 0, again.stderr
    assert "installing" not in again.stderr


CELL = {
    "people": 4,
    "frames": 340,
    "frames_dropped": 510,
    "frames_per_s": 9.7,
    "source_fps": 25.0,
    "seconds": 34.0,
    "cpu_s": 51.0,
    "most_people": 4,
    "windows": 13,
    "windows_dropped": 2,
    "latency_ms": {"median": 428.4, "p99": 542.2},
    "share": {"masks": 0.75, "tracks": 0.125, "network": 0.125, "drawing": 0.0},
}
NOBODY: dict[str, Any] = {
    **CELL,
    "people": 8,
    "frames_per_s": None,
    "latency_ms": None,
    "seconds": 0.0,
    "share": {"masks": None, "tracks": None, "network": None, "drawing": None},
}


def test_a_cell_is_reported_in_a_line_also_without_a_window() -> None:
    assert in_words(CELL) == (
        "4 at once (most 4): name after 428 ms, 99 % within 542 ms; 9.7 pictures/s, 510 of 850 dropped, 2 of 15 windows; "
        "masks 75%, tracks 12%, network 12%"
    )
    assert in_words(NOBODY).startswith("8 at once (most 4): no window; 510 of 850 dropped, 2 of 15 windows")


@pytest.mark.slow
def test_the_page_has_the_record_of_the_engine_that_was_timed(measured_study: Study, tmp_path: Path) -> None:
    home = measured_study.copy(tmp_path / "study")
    path = home.records.watch / "local/gaitset/p50-fp32.json"
    engine = json.loads(home.record(50).read_text())["engine"]
    record = {"engine": engine, "evidence": "simulated", "machine": "A board", "measured_at": "2026-01-02T03:04:05+00:00"}

    def page() -> str:
        return render(load(home.records, home.settings), Folders(home.where / "results"), home.where, home.settings)

    assert "Live recognition" not in page()
    outputs.write_json(path, {**record, "cells": [CELL, NOBODY]})
    shown = " ".join(page().split())
    assert "simulated device, A board" in shown
    assert "gaitset p50 fp32 <small>2026-01-02</small>" in shown
    figures = ("4", "9.70 of 25", "428", "542", "2 of 15", "510 of 850", "1.50")
    assert "".join(f"<td>{figure}</td>" for figure in figures) in shown
    assert '<span class="masks" style="--share: 0.75">' in shown
    assert "75 / 12 / 12</td>" in shown
    figures = ("8", "–", "–", "–", "2 of 15", "510 of 850", "–")
    assert "".join(f"<td>{figure}</td>" for figure in figures) in shown
    outputs.write_json(path, {**record, "engine": {**engine, "key": "another"}, "cells": [CELL]})
    assert "Live recognition" not in page()
