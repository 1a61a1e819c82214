"""Training the 2D-CNN on samples that are easy to tell apart."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gait.data.sequences import SequenceStore, StoreWriter
from gait.errors import DataError

keras_loop = pytest.importorskip("gait.training.keras_loop", reason="needs TensorFlow")
import keras  # noqa: E402

from gait.models import cnn2d, keras_model  # noqa: E402

TRAINING = keras_loop.KerasTraining(
    epochs=3, lr=3e-3, optimizer="adam", momentum=0.9, plateau_factor=0.2, plateau_patience=3, min_lr=1e-5, stop_patience=5,
    extra_epochs=1, extra_lr=1e-3, loss=[{"name": "sparse_categorical_crossentropy", "weight": 1}],
    batch=8, augment=False, mixed_precision=False, seed=3,
)  # fmt: skip
PEOPLE: dict[str, Any] = {"identities": ["000", "001"], "split": {}}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SequenceStore:
    """Two people whose flow differs in its sign."""
    directory = tmp_path_factory.mktemp("flow")
    rng = np.random.default_rng(0)
    writer = StoreWriter(directory, (60, 60, 50), "int16")
    for person in range(2):
        for number in range(1, 7):
            for kind in ("nm", "bg"):
                flow = rng.normal(100 * (-1) ** person, 60, (2, 60, 60, 50))
                writer.add(f"{person:03d}", f"{kind}-{number:02d}", "090", flow.astype(np.int16))
    settings = {"kind": "flow", "frames": 25, "stride": 5}
    writer.close(modality="flow", settings=settings, dataset="made", evidence="synthetic", fps=25, **PEOPLE)
    return SequenceStore.open(directory)


def trained(store: SequenceStore, training=TRAINING):
    keras.utils.set_random_seed(0)
    model = cnn2d.build({"filters": [96, 192, 512, 512], "dense": 2048, "signature": 1024, "dropout": 0.0}, 0.0625, 2)
    history = keras_loop.fit(model, store, list(range(len(store.sequences))), training)
    return model, history


@pytest.mark.parametrize("mixed", [False, True])
def test_the_people_are_told_apart_after_some_epochs(store: SequenceStore, mixed: bool) -> None:
    _, history = trained(store, replace(TRAINING, mixed_precision=mixed))
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert history[-1]["loss"] < history[0]["loss"] / 2
    assert history[-1]["accuracy"] == 1
    assert "val_loss" in history[2]
    assert "val_loss" not in history[3]  # the extra epoch learns from all


def test_the_same_seed_gives_the_same_weights(store: SequenceStore) -> None:
    one, other = (trained(store)[0].get_weights() for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_mixed_precision_leaves_an_ordinary_float32_model(store: SequenceStore, tmp_path: Path) -> None:
    model, _ = trained(store, replace(TRAINING, mixed_precision=True, epochs=1))
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    keras_model.save(model, tmp_path)
    sample = np.random.default_rng(0).normal(size=(2, 50, 60, 60)).astype(np.float32)
    found = [keras_model.signature_model(each)(sample).numpy() for each in (model, keras_model.load(tmp_path))]
    assert found[0].dtype == np.float32
    np.testing.assert_array_equal(*found)
    # bfloat16 has 8 bits: a signature computed in it would have none of the finer ones.
    assert (found[0] != found[0].astype(keras.ops.cast(found[0], "bfloat16").numpy().dtype).astype(np.float32)).any()


def test_a_training_that_diverges_is_told(store: SequenceStore) -> None:
    with pytest.raises(DataError, match="diverged in epoch"):
        trained(store, replace(TRAINING, optimizer="sgd", lr=1e6))


def test_too_few_sequences_for_a_validation_part_are_told(store: SequenceStore) -> None:
    with pytest.raises(DataError, match="9 training sequences are too few: at least 10"):
        keras_loop.fit(None, store, range(9), TRAINING)
