"""Training GaitSet on silhouettes that are easy to tell apart."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gait.data.sequences import SequenceStore, StoreWriter
from gait.errors import DataError
from gait.models import gaitset
from gait.training import torch_loop

TRAINING = torch_loop.TorchTraining(
    iterations=30, milestones=[25], gamma=0.1, lr=1e-3, optimizer="adam", momentum=0.9, weight_decay=0.0,
    loss=[{"name": "triplet", "weight": 1, "margin": 0.2}], identities=3, sequences=2, frames=4, order="unordered", skip=0,
    mixed_precision=False, seed=3,
)  # fmt: skip
PEOPLE: dict[str, Any] = {"identities": ["000", "001", "002"], "split": {}}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SequenceStore:
    """Three people of different width."""
    directory = tmp_path_factory.mktemp("silhouettes")
    rng = np.random.default_rng(0)
    writer = StoreWriter(directory, (64, 64), "uint8")
    for person in range(3):
        for number in range(1, 5):
            frames = np.zeros((6, 64, 64), np.uint8)
            half = 5 + 4 * person
            frames[:, 4:60, 32 - half : 32 + half] = 255
            frames[rng.random(frames.shape) < 0.1] = 0
            writer.add(f"{person:03d}", f"nm-{number:02d}", "090", frames)
    settings = {"kind": "silhouette", "size": 64}
    writer.close(modality="silhouette", settings=settings, dataset="made", evidence="synthetic", fps=25, **PEOPLE)
    return SequenceStore.open(directory)


def trained(store: SequenceStore, training=TRAINING):
    torch.manual_seed(0)
    model = gaitset.build({"channels": [32, 64, 128], "embedding": 256, "bins": [16, 8, 4, 2, 1]}, 0.125, 3)
    return model, torch_loop.fit(model, store, list(range(len(store.sequences))), training)


@pytest.mark.parametrize("mixed", [False, True])
def test_the_loss_falls(store: SequenceStore, mixed: bool) -> None:
    _, history = trained(store, replace(TRAINING, mixed_precision=mixed))
    assert history[-1]["loss"] < history[0]["loss"] / 2


def test_the_same_seed_gives_the_same_weights(store: SequenceStore) -> None:
    one, other = (trained(store, replace(TRAINING, iterations=3))[0].state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_weights_stay_float32(store: SequenceStore, tmp_path: Path) -> None:
    model, _ = trained(store, replace(TRAINING, iterations=2, mixed_precision=True))
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}


def test_a_training_that_diverges_is_told(store: SequenceStore) -> None:
    with pytest.raises(DataError, match="diverged in iteration"):
        trained(store, replace(TRAINING, optimizer="sgd", lr=1e30))
