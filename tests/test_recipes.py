"""Every model of every recipe, as published but for the size of its batches, starts and is trained for three iterations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gait.data.sequences import SequenceStore, StoreWriter
from stages import params
from stages.frameworks import framework, trainer
from stages.recipe import available

RECIPES = {name: params.load(path) for name, path in available().items()}
EVERY = [(name, model) for name, settings in RECIPES.items() for model in settings.model]
QUICK = {("casia-b", "gaitset")}
PEOPLE = 2


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SequenceStore]:
    """Two people a modality."""
    rng = np.random.default_rng(0)
    found = {}
    kinds = {"silhouette": ((64, 64), "uint8"), "silhouette128": ((128, 128), "uint8"), "flow": ((60, 60, 50), "int16")}
    for modality, (shape, dtype) in kinds.items():
        directory = tmp_path_factory.mktemp(modality)
        writer = StoreWriter(directory, shape, dtype)
        for person in range(PEOPLE):
            for walk in range(6):
                rows = (1 if modality == "flow" else 9, *shape)
                frames = 255 * (rng.random(rows) < 0.4) if dtype == "uint8" else rng.normal(100 * person, 60, rows)
                writer.add(f"{person:03d}", f"nm-{walk:02d}", "090", frames.astype(dtype))
        settings = {"kind": "flow" if modality == "flow" else "silhouette", "size": shape[0], "frames": 25, "stride": 5}
        facts: dict[str, Any] = {"identities": [], "split": {}}
        writer.close(modality=modality, settings=settings, dataset="made", evidence="synthetic", fps=25, **facts)
        found[modality] = SequenceStore.open(directory)
    return found


@pytest.mark.parametrize(
    ("recipe", "model"),
    [pytest.param(*each, marks=[] if each in QUICK else pytest.mark.slow, id="-".join(each)) for each in EVERY],
)
def test_three_iterations(stores: dict[str, SequenceStore], recipe: str, model: str) -> None:
    entry = RECIPES[recipe].model[model]
    store = stores[entry.modality]
    library, trains = framework(entry.framework), trainer(entry.framework)
    everyone = range(len(store.sequences))
    rows: list[dict[str, float]] = []
    network: Any = None
    session = {"processes": None, "workers": 0, "checkpoints": None, "watcher": None}
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


def test_recipes_are_found() -> None:
    assert {name for name, _ in EVERY} == {"casia-b", "oumvlp", "tum-gaid"}
    assert all(Path(path).suffix == ".yaml" for path in available().values())
