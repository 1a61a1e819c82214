"""The recipe of the deployment study, at toy scale, on two boards behind real SSH servers. They are simulated."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.toy import ROOT, SMALL, copy_repository, rates, run
from tests.test_boards_end_to_end import board_named

pytestmark = pytest.mark.slow
PERCENTILES = (0, 20)
PRECISIONS = ("fp32", "fp16", "int8", "best")
EPOCHS = {"epochs": 1, "extra_epochs": 0}
ITERATIONS = {"iterations": 4, "milestones": [3]}
QUICK = {"warmup_s": 0.1, "duration_s": 0.2, "min_queries": 20, "repeats": 2, "sweep": [1, 8]}


def shrink(path: Path) -> None:
    """Keep what the recipe computes, and make it small: synthetic people, narrow networks, few iterations."""
    yaml = YAML()
    study: dict[str, Any] = yaml.load(path)
    walkers = yaml.load(ROOT / "params.yaml")["datasets"]["walkers"]
    prefix = "datasets.walkers."
    sizes = {
        key.removeprefix(prefix): value for key, value in SMALL.items() if key.startswith(prefix) and key.count(".") == 2
    }
    walkers.update(sizes)
    walkers["partition"]["train_subjects"] = 7
    study.update(dataset="walkers", datasets={"walkers": walkers})
    study["prune"]["percentiles"] = list(PERCENTILES)
    study["train"]["workers"] = 0
    study["quantize"]["calibration_sequences"] = 4
    study["benchmark"].update(QUICK)
    study["threads"] = dict.fromkeys(study["threads"], 1)
    for name, entry in study["model"].items():
        entry["width"] = 0.0625
        entry["schedule"].update(ITERATIONS if entry["framework"] == "torch" else EPOCHS)
        study["finetune"][name].update({"iterations": 2, "milestones": [1]} if name == "gaitset" else {"epochs": 1})
    study["model"]["gaitset"]["sampling"].update(identities=4, sequences=2, frames=8)
    yaml.dump(study, path)


def test_the_whole_study_runs_through_on_two_boards(tmp_path: Path, servers) -> None:
    where = copy_repository(tmp_path / "repository")
    run([sys.executable, "-m", "gaitpress", "recipe", "embedded-gait"], where)
    shrink(where / "params.yaml")
    for name, kind in (("nano", "nano"), ("xavier", "xavier-nx")):
        board_named(name, kind, where, tmp_path, servers)
    run(["snakemake", "--cores", "2", "all"], where)
    for device in ("nano", "xavier"):
        for model in ("cnn2d", "cnn3d", "gaitset"):
            for percentile in PERCENTILES:
                for precision in PRECISIONS:
                    path = where / f"results/benchmark/{device}/{model}/p{percentile}-{precision}.json"
                    record = json.loads(path.read_text())
                    if (device, precision) == ("nano", "int8"):
                        assert record["status"] == "skipped"
                        assert "no INT8 hardware" in record["reason"]
                        continue
                    assert (record["status"], record["reason"], record["evidence"]) == ("ok", None, "simulated")
                    assert [(point["batch"], point["reason"]) for point in record["sweep"]] == [(1, None), (8, None)]
                    assert 0 <= rates(where, device, model, percentile, precision)["rank1"]["mean"] <= 100
    flags = {
        device: json.loads((where / f"results/build/{device}/gaitset/p0-best/build.json").read_text())["flags"]
        for device in ("nano", "xavier")
    }
    assert flags["nano"]["arguments"][0] == "--fp16"
    assert flags["xavier"]["arguments"][0] == "--best"
    assert "calibration_sha256" in flags["xavier"]
    assert "Nothing to be done" in run(["snakemake", "--cores", "2", "all"], where)
