"""A Keras model from training to int8 by the commands of its stages, one after the other in one process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from compress import export
from gait.data.partitions import partition_for
from gaitpress import outputs
from tests.support import flow
from tests.support.toy import ROOT, make_small

pytest.importorskip("tensorflow")

ALL = """
import importlib, sys
from gaitpress import command_line
for words in sys.argv[1].splitlines():
    sys.argv = words.split()
    command_line.run(importlib.import_module(f"stages.{sys.argv[0]}").main)
"""


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the stages ran on the flow of five people."""
    where = tmp_path_factory.mktemp("keras")
    shutil.copy(ROOT / "params.yaml", where)
    make_small(where / "params.yaml")
    store = flow.written(where / "preprocessed/flow")
    rules = {"protocol": "casia-b", "train_subjects": 2, "without": []}
    sides = partition_for("cnn2d", store, rules, "cosine")
    for name, side in zip(("training", "test"), sides, strict=True):
        outputs.write_json(where / f"{name}.json", side.to_json())
    common = f"--params {where}/params.yaml --model cnn2d --preprocessed {where}/preprocessed"
    training = f"{common} --training {where}/training.json"
    pruned = f"{training} --percentile 50"
    stages = (
        f"train {training} --out {where}/train",
        f"evaluate {common} --trained {where}/train --test {where}/test.json --out {where}/evaluate.json",
        f"prune {pruned} --dense {where}/train --out {where}/prune",
        f"finetune {pruned} --pruned {where}/prune --out {where}/finetune",
        f"export {pruned} --finetuned {where}/finetune --out {where}/export",
        f"quantize {pruned} --precision int8 --exported {where}/export --out {where}/quantize",
    )
    command = [sys.executable, "-c", ALL, "\n".join(stages)]
    # In this folder, for logs and mlflow.db are written where a stage is started.
    environment = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=where, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return where


def metrics(where: Path, stage: str) -> dict[str, float]:
    return json.loads((where / stage / "metrics.json").read_text())


def test_it_is_trained_and_fine_tuned(where: Path) -> None:
    for stage in ("train", "finetune"):
        losses = [row["loss"] for row in json.loads((where / stage / "history.json").read_text())]
        assert len(losses) == 1 and np.isfinite(losses[0])
    rates = json.loads((where / "evaluate.json").read_text())["rank1"]["conditions"]
    assert all(0 <= rates[kind]["rate"] <= 100 for kind in ("nm", "bg", "cl"))


def test_pruning_makes_it_smaller_and_fine_tuning_keeps_its_size(where: Path) -> None:
    pruned = metrics(where, "prune")
    assert pruned["filters"] < pruned["filters_before"]
    assert pruned["params"] < pruned["params_before"] == metrics(where, "train")["params"]
    assert pruned["params"] == metrics(where, "finetune")["params"]


def test_its_onnx_file_gives_its_signatures_and_that_of_int8_nearly_the_same(where: Path) -> None:
    assert metrics(where, "export")["parity_error"] <= 1e-4
    frames = np.random.default_rng(0).normal(0, 1, (1, 50, 60, 60)).astype(np.float32)
    one, other = (export.run(where / stage / "model.onnx", [frames]) for stage in ("export", "quantize"))
    assert np.shape(one) == np.shape(other)
    assert metrics(where, "quantize")["signature_error"] < 0.2
