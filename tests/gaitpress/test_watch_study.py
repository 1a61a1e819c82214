"""The record of live recognition, of a real engine on this computer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.study import Study
from tests.support.toy import ROOT


@pytest.mark.slow  # it renders a film of 14 s for each number of people, and plays it
def test_the_record_has_latency_rates_and_shares_for_each_number_of_people(tmp_path: Path) -> None:
    study = Study(tmp_path, percentiles=(50,))
    study.build(50)
    study.benchmark(50)
    study.recognise(50)
    command = [sys.executable, "-m", "gaitpress", "watch-study", "--params", str(study.params), "--variant"]
    command += ["local/gaitset/p50-fp32", "--results", str(study.records.results), "--people", "1", "4", "--seconds", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    path = study.records.results / "watch/local/gaitset/p50-fp32.json"
    record = json.loads(path.read_text())
    assert (record["evidence"], record["data"], record["variant"]["percentile"]) == ("host", "synthetic", 50)
    assert [cell["people"] for cell in record["cells"]] == [1, 4]
    for cell in record["cells"]:
        assert cell["frames"] > 0 and cell["windows"] > 0
        assert abs(cell["most_people"] - cell["people"]) <= 1
        assert 0 < cell["latency_ms"]["median"] <= cell["latency_ms"]["p99"]
        assert sum(cell["share"].values()) == pytest.approx(1)
        assert cell["cpu_s"] > 0
    assert record["cells"][1]["windows"] + record["cells"][1]["windows_dropped"] > record["cells"][0]["windows"]
    assert len(done.stdout.splitlines()) == 2
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (again.returncode, again.stderr) == (
        1,
        f"error: {path}: is there already; move it aside or choose another --out\n",
    )
