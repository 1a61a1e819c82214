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


def result(where: Path, name: str, *options: str) -> Any:
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
    return json.loads(done.stdout.splitlines()[-1])


def test_ways_of_recovery_are_compared_on_the_same_dense_networks(tmp_path: Path) -> None:
    ways = ["no training, reconstructed", "reconstructed, cosine", "reconstructed, cosine, in two steps"]
    comparison = result(tmp_path, "recovery", "--models", "gaitset", "cnn2d", "--seeds", "2", "--ways", *ways)
    rows = {(row["model"], row["way"]): row for row in comparison["rows"]}
    assert set(rows) == {(model, way) for model in ("gaitset", "cnn2d") for way in ["cosine", *ways]}
    assert all(len(row["seeds"]) == 2 and row["seconds"] > 0 for row in rows.values())
    assert rows["gaitset", "cosine"]["difference"] == {"mean": 0, "interval": [0, 0]}
    # Nothing is made twice: an interrupted comparison goes on.
    again = result(tmp_path, "recovery", "--models", "gaitset", "cnn2d", "--seeds", "2", "--ways", *ways)
    assert again["rows"] == comparison["rows"]  # the seconds that stages took as well


def test_gaitset_is_compressed_and_its_fastest_variant_chosen(tmp_path: Path) -> None:
    comparison = result(tmp_path, "compression", "--budget", "0.01")
    assert comparison["latency_ratio"] >= 1
    names = {f"p0-fp32 {runtime}" for runtime in ("onnxruntime", "openvino")} | {"p0-int8 openvino", "p70-fp32 onnxruntime"}
    assert {row["variant"] for row in comparison["variants"]} >= names
    assert set(comparison["by_runtime"]) == {"onnxruntime", "openvino"}
    assert comparison["latency_ratio"] == max(comparison["by_runtime"].values())


def test_a_model_with_batch_norm_is_compared_with_torch_pruning(tmp_path: Path) -> None:
    (row,) = result(tmp_path, "selections", "--models", "gaitbase", "--seeds", "2")
    assert (row["model"], row["compared_at_percentile"]) == ("gaitbase", 70)
    assert {name: len(values) for name, values in row["seeds"].items()} == {
        "ours": 2, "torch-pruning-magnitude": 2, "torch-pruning-taylor": 2
    }  # fmt: skip
    widths = [
        json.loads((tmp_path / f"work/gaitbase/prune/{name}/architecture.json").read_text())["channels"]
        for name in ("p70", "torch-pruning-magnitude-p70", "torch-pruning-taylor-p70")
    ]
    assert widths[0] == widths[1] == widths[2]


def test_runtimes_are_compared_and_the_chosen_one_is_never_slower_than_onnx_runtime(tmp_path: Path) -> None:
    comparison = result(tmp_path, "runtimes", "--models", "gaitset", "--percentiles", "80")
    (row,) = comparison["networks"]
    assert row["best_over_onnxruntime"] >= 1
    engines = {engine["engine"]: engine for engine in row["engines"]}
    assert {"onnxruntime fp32", "onnxruntime int8", "openvino fp32", "openvino int8"} <= set(engines)
    assert engines["onnxruntime fp32"]["times_faster"] == 1
    assert engines["openvino fp32"]["signature_error"] < 1e-4
    assert engines[row["best"]]["signature_error"] <= comparison["max_error"]
