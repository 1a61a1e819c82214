"""Every model of every recipe, as published but for the size of its batches, starts and is trained for three iterations."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from gait.data.prepared.sequences import SequenceStore, StoreWriter
from gaitpress import params, recipes
from gaitpress.frameworks import framework
from gaitpress.trainers import trainer
from tests.support.toy import ROOT

PEOPLE = 2
load = functools.cache(recipes.load)

SGD, ADAM = ("sgd", 0.1, 5e-4), ("adam", 1e-4, 0.0)
GLN = ((8, 16), ("ordered", 0), True, "euclidean")
# By recipe and model, phase by phase: optimizer, learning rate and weight decay; milestones and iterations in
# thousands; weight, scale and smoothing of cross-entropy; P x K; order and skip of frames; mixed precision; distance.
PUBLISHED: dict[tuple[str, str], list[tuple[Any, ...]]] = {
    ("casia-b", "gaitset"): [
        (SGD, [10, 20, 30], 40, None, (8, 16), ("unordered", 0), True, "euclidean"),
    ],
    ("embedded-gait", "gaitset"): [
        (SGD, [10, 20, 30], 40, None, (8, 16), ("unordered", 0), True, "euclidean"),
    ],
    ("casia-b", "gaitpart"): [(ADAM, [100], 120, None, (8, 16), ("ordered", 10), True, "euclidean")],
    ("casia-b", "gaitgl"): [
        (("adam", 1e-4, 5e-4), [70], 80, (1.0, 1, 0), (8, 8), ("ordered", 0), True, "euclidean"),
    ],
    ("casia-b", "gln"): [
        (SGD, [10, 20, 30], 40, None, *GLN),
        (("sgd", 0.01, 5e-4), [10, 20, 30], 40, (0.1, 16, 0.1), *GLN),
    ],
    ("casia-b", "baseline"): [(SGD, [20, 40], 60, (0.1, 16, 0.1), (8, 16), ("unordered", 0), True, "euclidean")],
    ("casia-b", "gaitbase"): [(SGD, [20, 40, 50], 60, (1.0, 16, 0.1), (8, 16), ("unordered", 0), True, "euclidean")],
    ("casia-b", "deepgaitv2"): [(SGD, [20, 40, 50], 60, (1.0, 16, 0.1), (8, 16), ("ordered", 4), True, "euclidean")],
    ("oumvlp", "gaitset"): [(ADAM, [150], 250, None, (32, 16), ("unordered", 0), True, "euclidean")],
    ("oumvlp", "gaitpart"): [(ADAM, [150], 250, None, (32, 16), ("ordered", 10), True, "euclidean")],
    ("oumvlp", "gaitgl"): [(ADAM, [150, 200], 210, (1.0, 1, 0.1), (32, 8), ("ordered", 0), True, "euclidean")],
    ("oumvlp", "baseline"): [(SGD, [50, 100], 150, (0.1, 16, 0.1), (32, 16), ("unordered", 0), True, "euclidean")],
    ("oumvlp", "gaitbase"): [(SGD, [60, 80, 100], 120, (1.0, 16, 0.1), (32, 8), ("unordered", 0), True, "euclidean")],
    ("oumvlp", "deepgaitv2"): [(SGD, [60, 80, 100], 120, (1.0, 16, 0.1), (32, 8), ("ordered", 4), True, "euclidean")],
    ("gait3d", "deepgaitv2"): [(SGD, [20, 40, 50], 60, (1.0, 16, 0.1), (32, 4), ("ordered", 4), True, "euclidean")],
    ("ccpg", "gaitbase"): [(SGD, [20, 40, 50], 60, (1.0, 16, 0.1), (8, 16), ("unordered", 0), True, "euclidean")],
    ("ccpg", "deepgaitv2"): [(SGD, [20, 40, 50], 60, (1.0, 16, 0.1), (8, 16), ("ordered", 4), True, "euclidean")],
    ("sustech1k", "deepgaitv2"): [(SGD, [20, 30, 40], 50, (1.0, 16, 0.1), (8, 8), ("ordered", 4), True, "euclidean")],
}
FLOW = [
    *(("casia-b", name) for name in ("cnn2d", "cnn3d", "cnn2plus1d")),
    *(("embedded-gait", name) for name in ("cnn2d", "cnn3d")),
    *(("tum-gaid", name) for name in ("cnn2d", "cnn3d", "cnn2plus1d")),
]
EVERY = [*PUBLISHED, *FLOW]
QUICK = {("casia-b", "gaitset")}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SequenceStore]:
    """Two people a modality."""
    rng = np.random.default_rng(0)
    opened = {}
    kinds = {"silhouette": ((64, 64), "uint8"), "silhouette128": ((128, 128), "uint8"), "flow": ((60, 60, 50), "int16")}
    for modality, (shape, dtype) in kinds.items():
        directory = tmp_path_factory.mktemp(modality)
        writer = StoreWriter(directory, shape, dtype)
        for person in range(PEOPLE):
            for walk in range(6):
                rows = (1 if modality == "flow" else 9, *shape)
                frames = 255 * (rng.random(rows) < 0.4) if dtype == "uint8" else rng.normal(100 * person, 60, rows)
                writer.add(f"{person:03d}", f"nm-{walk:02d}", "090", frames.astype(dtype))
        settings = {"kind": "flow" if modality == "flow" else "silhouette", "pixels": shape[0], "frames": 25, "stride": 5}
        facts: dict[str, Any] = {"identities": [], "split": {}}
        writer.close(modality=modality, settings=settings, dataset="made", evidence="synthetic", fps=25, **facts)
        opened[modality] = SequenceStore.open(directory)
    return opened


@pytest.mark.parametrize(
    ("recipe", "model"),
    [pytest.param(*pair, marks=[] if pair in QUICK else pytest.mark.slow, id="-".join(pair)) for pair in EVERY],
)
def test_three_iterations(stores: dict[str, SequenceStore], recipe: str, model: str) -> None:
    entry = load(recipe).model[model]
    store = stores[entry.modality]
    library, trains = framework(entry.framework), trainer(entry.framework)
    everyone = range(len(store.sequences))
    rows: list[dict[str, float]] = []
    network: Any = None
    session = {"processes": None, "workers": 0, "checkpoints": None, "watcher": None, "validation": None}
    for phase in entry.phases():
        previous, network = network, library.build(model, phase, PEOPLE)
        if previous is not None:
            library.carry_over(network, previous)
        rows += trains.fit(network, store, everyone, _three_iterations(phase), session)
    assert len(rows) == (1 if entry.framework == "keras" else 3 * len(entry.phases()))
    assert all(np.isfinite(row["loss"]) for row in rows)


def _three_iterations(phase: Any) -> Any:
    if phase.framework == "keras":
        schedule = phase.schedule.model_copy(update={"epochs": 1, "extra_epochs": 0})
        return phase.model_copy(update={"schedule": schedule, "batch": 4})  # 12 samples, one of which validates
    sampling = phase.sampling.model_copy(update={"identities": PEOPLE, "sequences": 2, "frames": 3})
    schedule = phase.schedule.model_copy(update={"iterations": 3})
    return phase.model_copy(update={"schedule": schedule, "sampling": sampling})


DEEP_CHANGES = [{"name": name, "probability": 0.2} for name in ("perspective", "flip", "rotate")]


def _figures(phase: Any) -> tuple[Any, ...]:
    optimizer, schedule, sampling = phase.optimizer, phase.schedule, phase.sampling
    triplet, *others = phase.loss
    assert (triplet.name, triplet.weight, triplet.margin) == ("triplet", 1, 0.2)
    entropy = None
    for term in others:
        settings = {"scale": 1, "label_smoothing": 0, **(term.model_extra or {})}
        entropy = (term.weight, settings["scale"], settings["label_smoothing"])
    if optimizer.name == "sgd":
        assert optimizer.momentum == 0.9
    assert schedule.gamma == 0.1
    return (
        (optimizer.name, optimizer.lr, optimizer.weight_decay),
        [milestone // 1000 for milestone in schedule.milestones],
        schedule.iterations // 1000,
        entropy,
        (sampling.identities, sampling.sequences),
        (sampling.order, sampling.skip),
        phase.mixed_precision,
        phase.distance,
    )


def test_silhouette_networks_have_the_figures_of_the_files_that_the_recipes_name() -> None:
    torch = {pair: load(pair[0]).model[pair[1]] for pair in EVERY if pair not in FLOW}
    assert {pair: [_figures(phase) for phase in entry.phases()] for pair, entry in torch.items()} == PUBLISHED
    for (recipe, _), entry in torch.items():
        assert {phase.sampling.frames for phase in entry.phases()} == {10 if recipe == "sustech1k" else 30}
    augmented = {pair: [change.model_dump() for change in entry.augment] for pair, entry in torch.items() if entry.augment}
    assert augmented == {
        ("casia-b", "gaitbase"): [
            {"name": "rotate", "probability": 0.3, "degrees": 10},
            {"name": "erase", "probability": 0.3},
        ],
        ("casia-b", "deepgaitv2"): DEEP_CHANGES,
        ("oumvlp", "deepgaitv2"): DEEP_CHANGES,
        ("gait3d", "deepgaitv2"): DEEP_CHANGES,
        ("ccpg", "deepgaitv2"): DEEP_CHANGES,
        ("sustech1k", "deepgaitv2"): DEEP_CHANGES,
    }


def test_flow_networks_have_the_figures_of_their_study() -> None:
    keras = {(recipe, model): load(recipe).model[model] for recipe, model in FLOW}
    schedule = {"epochs": 150, "decay": "plateau", "plateau_factor": 0.2, "plateau_patience": 3, "min_lr": 1e-5}
    schedule |= {"stop_patience": 5, "extra_epochs": 50, "extra_lr": 1e-3}
    for (recipe, model), entry in keras.items():
        assert entry.optimizer.model_dump() == {"name": "sgd", "lr": 0.01, "momentum": 0.9}
        assert (entry.schedule.model_dump(), entry.batch, entry.augment) == (schedule, 150, True)
        assert entry.distance == "cosine"
        if model == "cnn2d":
            wide = {"casia-b": 4096, "embedded-gait": 2048, "tum-gaid": 2048}[recipe]
            assert (entry.architecture["dense"], entry.architecture["dropout"]) == (wide, 0.4)


def test_the_demo_tests_every_model_as_its_recipe_does_and_scales_the_same_cosines() -> None:
    demo = params.load(ROOT / "params.yaml")
    for recipe, model in EVERY:
        published, own = load(recipe).model[model], demo.model[model]
        assert own.distance == published.distance
        if recipe == "casia-b":
            scales = [[[(term.model_extra or {}).get("scale", 1) for term in phase.loss] for phase in entry.phases()]
                      for entry in (own, published)]  # fmt: skip
            assert scales[0] == scales[1], model


def test_recipes_are_found() -> None:
    made = {(recipe, model): entry for recipe in recipes.published() for model, entry in load(recipe).model.items()}
    assert sorted(made) == sorted(EVERY)
    assert [pair for pair in EVERY if made[pair].framework == "keras"] == FLOW
