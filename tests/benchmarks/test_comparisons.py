"""The comparisons of ways to compress run from nothing to their figures, at toy size."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.toy import ROOT, make_small

pytestmark = pytest.mark.slow


def result(where: Path, name: str, *options: str) -> dict[str, Any]:
    """What a benchmark prints with a small params.yaml in the working folder."""
    shutil.copy(ROOT / "params.yaml", where)
    make_small(
        where / "params.yaml",
        **{"model.gaitset.sampling": {"identities": 3, "sequences": 2, "frames": 3, "order": "unordered"}},
    )
    command = [sys.executable, "-m", f"benchmarks.{name}", "--json", "--work", "work", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=where, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_ways_of_recovery_are_compared_on_the_same_dense_networks(tmp_path: Path) -> None:
    ways = ["no training, reconstructed", "reconstructed, cosine", "reconstructed, cosine, in two steps"]
    found = result(tmp_path, "recovery", "--models", "gaitset", "cnn2d", "--seeds", "2", "--ways", *ways)
    rows = {(row["model"], row["way"]): row for row in found["rows"]}
    assert set(rows) == {(model, way) for model in ("gaitset", "cnn2d") for way in ["cosine", *ways]}
    assert all(len(row["seeds"]) == 2 and row["seconds"] > 0 for row in rows.values())
    assert rows["gaitset", "cosine"]["difference"] == {"mean": 0, "interval": [0, 0]}
    # Nothing is made twice: an interrupted comparison goes on.
    again = result(tmp_path, "recovery", "--models", "gaitset", "cnn2d", "--seeds", "2", "--ways", *ways)
    assert again["rows"] == found["rows"]  # the seconds that stages took as well


def test_gaitset_is_compressed_and_compared_with_torch_pruning(tmp_path: Path) -> None:
    found = result(tmp_path, "compression", "--budget", "0.01")
    assert found["latency_ratio"] >= 1
    assert set(found["rank1_over_torch_pruning"]) == {"magnitude", "taylor"}
    assert all(len(values) == 5 for values in found["seeds"].values())
    assert {row["variant"] for row in found["variants"]} >= {"p0-fp32", "p0-int8", "p70-fp32"}
