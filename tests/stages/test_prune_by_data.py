"""Pruning by a criterion that looks at training data: what the stage `needs` names, and what `prune` does with it."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress.pruning import torch_surgery
from compress.pruning.times import COEFFICIENTS, Layer, TimeModel
from compress.pruning.torch_measures import measured
from gait.data.prepared.sequences import SequenceStore, StoreWriter
from gait.data.prepared.sets import TrainingSet
from gait.networks import torch_model
from gaitpress import inputs, outputs, params
from gaitpress import settings as made_with
from gaitpress.frameworks import framework
from gaitpress.trainers import trainer
from stages.needs import needs_data
from tests.support import commands
from tests.support.device_world import World
from tests.support.published import SMALLER, small
from tests.support.toy import ROOT, make_small

SMALL = {
    "prune.criterion": "taylor",
    "prune.reconstruct": False,
    "prune.round_to": 1,
    "prune.keep_min": 1,
    "model.gaitset.sampling.frames": 3,
}


def stage(name: str, where: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    run = commands.keras_stage if "cnn2d" in arguments else commands.stage
    return run(name, "--params", where / "params.yaml", *arguments)


@pytest.fixture
def where(tmp_path: Path) -> Path:
    """A dense GaitSet that was trained with the sequences beside it, and params.yaml with the criterion `taylor`."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    make_small(tmp_path / "params.yaml", **SMALL)
    World.at(tmp_path).write_store()
    (tmp_path / "dense").mkdir()
    torch_model.save(small(SMALLER["gaitset"], 0.25), tmp_path / "dense")
    facts = inputs.facts(*inputs.open_training(tmp_path / "training/gaitset.json", tmp_path / "preprocessed"))
    made_with.write(tmp_path / "dense", {}, data=facts, model={"width": 0.25})
    return tmp_path


def prune(
    where: Path, out: str, model: str = "gaitset", data: bool = True, more: tuple[object, ...] = ()
) -> subprocess.CompletedProcess[str]:
    places = ("--training", where / f"training/{model}.json", "--preprocessed", where / "preprocessed")
    common = ("--model", model, "--percentile", 50, "--dense", where / "dense", "--out", where / out)
    return stage("prune", where, *common, *(places if data else ()), *more)


def channels(where: Path, out: str) -> dict[str, np.ndarray]:
    """The first convolution's filters that stayed, by the weights of each."""
    return {name: tensor.numpy() for name, tensor in torch_model.load(where / out).state_dict().items()}


@pytest.mark.slow
def test_the_same_filters_go_each_time(where: Path) -> None:
    for out in ("one", "other"):
        assert prune(where, out).returncode == 0
    one, other = channels(where, "one"), channels(where, "other")
    assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_the_filters_that_matter_least_to_the_training_loss_go(where: Path) -> None:
    done = prune(where, "one")
    assert done.returncode == 0, done.stderr
    one = channels(where, "one")
    entry = params.load(where / "params.yaml").model["gaitset"]
    dense = torch_model.load(where / "dense")
    training, store = inputs.open_training(where / "training/gaitset.json", where / "preprocessed")
    framework("torch").use_threads(1)
    batches = trainer("torch").gradient_batches(dense, store, training.train, entry)
    effects = measured(dense, dense.filter_groups()[:1], ["effects"], batches)["effects"]["frame1"]["frame1"]
    assert len(effects) == 256
    scores = np.abs(effects).mean(0)
    kept = np.flatnonzero(scores >= np.median(scores))
    assert np.array_equal(one["frame1.conv.weight"], dense.state_dict()["frame1.conv.weight"].numpy()[kept])
    assert json.loads((where / "one/settings.json").read_text())["prune"]["criterion"] == "taylor"


@pytest.mark.slow
def test_layers_that_read_what_went_are_solved_on_training_data_after_the_proof(where: Path) -> None:
    assert prune(where, "plain").returncode == 0
    make_small(where / "params.yaml", **{**SMALL, "prune.reconstruct": True})
    done = prune(where, "solved")
    assert done.returncode == 0, done.stderr
    written = json.loads((where / "solved/pruning.json").read_text())
    assert written["proof_error"] < 1e-10
    errors = written["reconstruction"]
    assert {"frame2.conv", "global1.conv", "fc"} < set(errors)
    assert all(of_layer["after"] < of_layer["before"] for of_layer in errors.values())
    assert f"reconstructed fc: error {100 * errors['fc']['before']:.1f} % of its outputs -> " in done.stdout
    plain, solved = channels(where, "plain"), channels(where, "solved")
    changed = {name.removesuffix(".weight") for name in plain if not np.array_equal(plain[name], solved[name])}
    assert changed == set(errors)
    assert json.loads((where / "plain/pruning.json").read_text())["reconstruction"] == {}


@pytest.mark.slow
def test_a_network_pruned_to_a_time_is_judged_by_its_data_and_solved_on_them_too(where: Path) -> None:
    latency = {**SMALL, "prune.mode": "latency", "prune.device": "local", "prune.reconstruct": True}
    make_small(where / "params.yaml", **latency)
    dense = torch_model.load(where / "dense")
    layers = [Layer(name, reads, gives, 1) for name, (reads, gives) in torch_surgery.layers(dense).items()]
    weights = np.zeros((len(layers), COEFFICIENTS))
    weights[:, 0] = 1  # ms of each whole layer; they fall as both widths do
    times = TimeModel(torch_surgery.filters(dense), layers, 8, 0.0, weights)
    table = {"needed": True, "dense_ms": float(len(layers)), "error": {"p90": 0.01}, "times": times.as_json()}
    outputs.write_json(where / "times/local/gaitset.json", table)
    done = prune(where, "one", more=("--times", where / "times"))
    assert done.returncode == 0, done.stderr
    written = json.loads((where / "one/pruning.json").read_text())
    assert written["proof_error"] < 1e-10
    assert 0.4 * len(layers) < written["time"]["predicted_ms"] <= written["time"]["asked_ms"] == 0.5 * len(layers)
    assert written["time"]["predicted_ms"] == pytest.approx(
        times.predict({name: layer["after"] for name, layer in written["layers"].items()}), abs=1e-4
    )
    assert written["reconstruction"]
    assert all(of_layer["after"] < of_layer["before"] for of_layer in written["reconstruction"].values())

    training, store = inputs.open_training(where / "training/gaitset.json", where / "preprocessed")
    entry = params.load(where / "params.yaml").model["gaitset"]
    framework("torch").use_threads(1)
    batches = trainer("torch").gradient_batches(dense, store, training.train, entry)
    (group,) = (group for group in dense.filter_groups() if group.name == "frame1")
    effects = measured(dense, [group], ["effects"], batches)["effects"]["frame1"]["frame1"]
    kept = np.sort(np.argsort(-np.abs(effects).mean(0), kind="stable")[: written["layers"]["frame1"]["after"]])
    assert len(kept) < effects.shape[1]
    # frame1 reads the input, which is whole, so reconstruction leaves its weights alone.
    whole = dense.state_dict()["frame1.conv.weight"].numpy()
    assert np.array_equal(channels(where, "one")["frame1.conv.weight"], whole[kept])


def test_the_models_seed_draws_the_batches(where: Path) -> None:
    training, store = inputs.open_training(where / "training/gaitset.json", where / "preprocessed")
    entry = params.load(where / "params.yaml").model["gaitset"]
    dense = torch_model.load(where / "dense")

    def first(seed: int) -> Any:
        return next(trainer("torch").gradient_batches(dense, store, training.train, entry.model_copy(update={"seed": seed})))

    (one, loss), (again, same_loss), (other, _) = first(1), first(1), first(2)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert loss(dense(one)).item() == same_loss(dense(again)).item()


@pytest.mark.slow
def test_a_keras_network_is_pruned_by_it(where: Path) -> None:
    library = pytest.importorskip("gaitpress.frameworks.keras_models", reason="needs TensorFlow")
    flow = where / "preprocessed/flow"
    flow.mkdir()
    rng = np.random.default_rng(0)
    writer = StoreWriter(flow, (60, 60, 50), "int16")
    for person in range(3):
        for number in range(1, 5):
            samples = rng.normal(50 * person, 60, (2, 60, 60, 50)).astype(np.int16)
            writer.add(f"{person:03d}", f"nm-{number:02d}", "090", samples)
    about: dict[str, Any] = {"identities": ["000", "001", "002"], "split": {}, "settings": {"kind": "flow", "stride": 5}}
    writer.close(modality="flow", dataset="walkers", evidence="synthetic", fps=25, **about)
    store = SequenceStore.open(flow)
    side = TrainingSet("cnn2d", "flow", store.digest, "walkers", "synthetic", list(range(len(store.sequences))))
    outputs.write_json(where / "training/cnn2d.json", side.to_json())
    dense = library.build("cnn2d", params.load(where / "params.yaml").model["cnn2d"], 3)
    shutil.rmtree(where / "dense")
    (where / "dense").mkdir()
    # The second convolution does not read the first one's filter 4, so that no loss depends on it.
    kernel, bias = dense.get_layer("conv2").get_weights()
    kernel[:, :, 3] = 0
    dense.get_layer("conv2").set_weights([kernel, bias])
    library.save(dense, where / "dense")
    made_with.write(where / "dense", {}, data=inputs.facts(side, store), model={})
    done = prune(where, "one", "cnn2d")
    assert done.returncode == 0, done.stderr
    assert prune(where, "other", "cnn2d").returncode == 0
    one, other = library.load(where / "one"), library.load(where / "other")
    assert all(np.array_equal(*pair) for pair in zip(one.get_weights(), other.get_weights(), strict=True))
    filters = np.moveaxis(dense.get_layer("conv1").get_weights()[0], -1, 0)
    kept = np.moveaxis(one.get_layer("conv1").get_weights()[0], -1, 0)
    assert 0 < len(kept) < len(filters)
    assert not any(np.array_equal(filters[3], row) for row in kept)


def test_without_the_data_or_with_others_it_says_so(where: Path) -> None:
    done = prune(where, "one", data=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: prune.criterion or prune.reconstruct needs training data: say where with --training and --preprocessed"
    )
    facts = made_with.read(where / "dense")
    made_with.write(where / "dense", facts, data={**facts["data"], "digest": "other"})
    done = prune(where, "one")
    assert "was made with other data than data/training/gaitset.json has now" in done.stderr
    assert not (where / "one").exists()


def test_a_criterion_of_weights_opens_no_data(where: Path) -> None:
    make_small(where / "params.yaml", **{**SMALL, "prune.criterion": "l1"})
    shutil.rmtree(where / "preprocessed")
    done = prune(where, "one")
    assert done.returncode == 0, done.stderr


def test_what_prune_needs_is_named_by_content_if_the_criterion_asks_for_it(where: Path) -> None:
    code = {"gait/training/torch/loop.py": "0" * 64}
    outputs.write_json(where / "code/gaitset.json", code)
    training = where / "training/gaitset.json"

    def needed(criterion: str, mode: str = "percentile") -> dict[str, str]:
        make_small(
            where / "params.yaml",
            **{**SMALL, "prune.criterion": criterion, "prune.mode": mode, "prune.device": "local"},
        )
        options = ("--model", "gaitset", "--training", training, "--code", where / "code/gaitset.json")
        done = stage("needs", where, *options, "--out", where / "needs.json")
        assert done.returncode == 0, done.stderr
        named: dict[str, str] = json.loads((where / "needs.json").read_text())
        assert done.stdout.strip() == f"gaitset: prune needs {'training data' if named else 'no data'}"
        return named

    assert needed("mean-l1") == needed("mean-l1", "latency") == needed("taylor", "published") == {}
    named = {training.as_posix(): hashlib.sha256(training.read_bytes()).hexdigest(), **code}
    assert needed("taylor") == needed("taylor", "latency") == named


def test_two_need_data_of_those_that_come_with_it() -> None:
    section = params.load(ROOT / "params.yaml").prune.model_copy(update={"reconstruct": False})
    criteria = [path.stem for path in (ROOT / "compress/pruning/criteria").glob("[a-z]*.py")]
    assert {name for name in criteria if needs_data(section.model_copy(update={"criterion": name}))} == {
        "taylor", "reconstruction-error",
    }  # fmt: skip
