"""Every model but the demo's two at toy scale: trained, pruned, fine-tuned and exported, and two of them measured too."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.toy import copy_repository, evaluated, make_small, rates, run

pytestmark = pytest.mark.slow
MODELS = ["gaitpart", "gaitgl", "gln", "baseline", "gaitbase", "deepgaitv2", "cnn3d", "cnn2plus1d"]
SILHOUETTES = MODELS[:6]
MEASURED = ["gaitgl", "cnn3d"]  # those in 3D; the demo measures others


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = copy_repository(tmp_path_factory.mktemp("models"))
    modalities = ["silhouette", "silhouette128", "flow"]
    changes: dict[str, object] = {"models": MODELS, "modalities": modalities, "precisions": ["fp32"]}
    for model in SILHOUETTES:
        changes[f"model.{model}.width"] = 0.0625
        changes[f"model.{model}.schedule"] = {"iterations": 10, "milestones": [8], "gamma": 0.1}
        changes[f"finetune.{model}.iterations"] = 2
    changes["model.gln.then.schedule"] = {"iterations": 4, "milestones": [3], "gamma": 0.1}
    for model in MODELS[6:]:
        changes[f"model.{model}.width"] = 0.0625
        changes[f"model.{model}.schedule.epochs"] = 3
        changes[f"model.{model}.schedule.extra_epochs"] = 0
        changes[f"finetune.{model}.epochs"] = 1
    make_small(where / "params.yaml", **changes)
    exported = [f"results/export/{model}/p50" for model in MODELS]
    records = [f"results/recognise/local/{model}/p50-fp32.json" for model in MEASURED]
    run(["snakemake", "--cores", "2", *exported, *records], where)
    return where / "results"


@pytest.mark.parametrize("model", MODELS)
def test_the_loss_falls(results: Path, model: str) -> None:
    history = json.loads((results / f"train/{model}/history.json").read_text())
    losses = [row["loss"] for row in history[:10]]
    assert np.mean(losses[-3:]) < np.mean(losses[:2])


def test_gln_is_trained_in_two_phases(results: Path) -> None:
    history = json.loads((results / "train/gln/history.json").read_text())
    assert [row["iteration"] for row in history] == [*range(1, 11), *range(1, 5)]
    assert "cross_entropy" not in history[9]
    assert "cross_entropy" in history[10]


@pytest.mark.parametrize("model", MODELS)
def test_the_pruned_network_is_smaller_and_its_onnx_file_gives_its_signatures(results: Path, model: str) -> None:
    exported = json.loads((results / f"export/{model}/p50/metrics.json").read_text())
    assert exported["parity_error"] <= 1e-4
    pruned = json.loads((results / f"prune/{model}/p50/metrics.json").read_text())
    assert pruned["params"] < pruned["params_before"]


@pytest.mark.parametrize("model", MEASURED)
def test_the_engine_recognises_as_the_model_does(results: Path, model: str) -> None:
    engine, network = rates(results.parent, "local", model, 50), evaluated(results.parent, model, 50)
    assert engine["rank1"]["mean"] == pytest.approx(network["rank1"]["mean"], abs=0.5)


@pytest.mark.parametrize("model", MODELS)
def test_training_tells_the_layers(results: Path, model: str) -> None:
    layers = json.loads((results / f"train/{model}/layers.json").read_text())
    metrics = json.loads((results / f"train/{model}/metrics.json").read_text())
    deployed = [layer for layer in layers if not layer.get("training_only")]
    assert sum(layer["params"] for layer in deployed) == metrics["params"]
    assert sum(layer["macs"] for layer in deployed) == metrics["macs"]
