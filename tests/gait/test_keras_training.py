"""Training the 2D-CNN on samples that are easy to tell apart."""

import math
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gait.data.prepared.sequences import SequenceStore, StoreWriter
from gait.errors import DataError

keras_loop = pytest.importorskip("gait.training.keras.loop", reason="needs TensorFlow")
import keras  # noqa: E402

from gait.models import cnn2d  # noqa: E402
from gait.networks import keras_model  # noqa: E402
from gait.training.checkpoints import Checkpoints  # noqa: E402
from tests.support.killing import kill_once_there  # noqa: E402
from tests.support.toy import ROOT  # noqa: E402

TRAINING = keras_loop.KerasTraining(
    epochs=3, lr=3e-3, optimizer="adam", momentum=0.9, decay="plateau", plateau_factor=0.2, plateau_patience=3,
    min_lr=1e-5, stop_patience=5, extra_epochs=1, extra_lr=1e-3,
    loss=[{"name": "sparse_categorical_crossentropy", "weight": 1}], batch=8, augment=False, mixed_precision=False, seed=3,
)  # fmt: skip
PEOPLE: dict[str, Any] = {"identities": ["000", "001"], "split": {}}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SequenceStore:
    """Two people whose flow differs in its sign."""
    return made_store(tmp_path_factory.mktemp("flow"))


def made_store(directory: Path) -> SequenceStore:
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


def network(dropout: float = 0.0) -> Any:
    keras.utils.set_random_seed(0)
    return cnn2d.build({"filters": [96, 192, 512, 512], "dense": 2048, "signature": 1024, "dropout": dropout}, 0.0625, 2)


def trained(store: SequenceStore, training=TRAINING, model=None, **around):
    model = model or network()
    return model, keras_loop.fit(model, store, list(range(len(store.sequences))), training, **around)


@pytest.mark.slow
def test_a_decay_by_steps_sets_the_rate_of_every_step(store: SequenceStore) -> None:
    training = replace(TRAINING, decay="cosine", epochs=2, extra_epochs=0)
    _, history = trained(store, training)
    steps = 2 * keras_loop.FlowBatches(store, range(22), {"000": 0, "001": 1}, training, augment=False).length
    last = [row["learning_rate"] for row in history]
    assert last == pytest.approx(
        [training.lr * (1 + math.cos(math.pi * (step - 1) / steps)) / 2 for step in (steps // 2, steps)]
    )


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


@pytest.fixture(scope="module")
def complete(store: SequenceStore, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Path]:
    """A whole training by TRAINING: the model, its history and where its checkpoints are."""
    where, model = tmp_path_factory.mktemp("complete"), network()
    checkpoints = Checkpoints(where, 1e9, lambda path: keras_model.save(model, path))
    return *trained(store, TRAINING, model, checkpoints=checkpoints), where


@pytest.mark.parametrize("mixed", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_people_are_told_apart_after_some_epochs(
    store: SequenceStore, complete: tuple[Any, Any, Path], mixed: bool
) -> None:
    history = trained(store, replace(TRAINING, mixed_precision=True))[1] if mixed else complete[1]
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert history[-1]["loss"] < history[0]["loss"] / 2
    assert history[-1]["accuracy"] == 1
    assert "val_loss" in history[2]
    assert "val_loss" not in history[3]  # the extra epoch learns from all


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights(store: SequenceStore, complete: tuple[Any, Any, Path]) -> None:
    assert same(complete[0], trained(store)[0])


@pytest.mark.slow
def test_the_same_seed_gives_a_network_with_dropout_the_same_weights_each_time_that_it_is_loaded(
    store: SequenceStore, tmp_path: Path
) -> None:
    keras_model.save(network(dropout=0.5), tmp_path)
    short = replace(TRAINING, epochs=1, extra_epochs=0)
    one, other = (trained(store, short, keras_model.load(tmp_path))[0] for _ in range(2))
    assert same(one, other)


@pytest.mark.slow
def test_mixed_precision_leaves_an_ordinary_float32_model(store: SequenceStore, tmp_path: Path) -> None:
    model, _ = trained(store, replace(TRAINING, mixed_precision=True, epochs=1))
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    keras_model.save(model, tmp_path)
    sample = np.random.default_rng(0).normal(size=(2, 50, 60, 60)).astype(np.float32)
    signatures = [keras_model.signature_model(version)(sample).numpy() for version in (model, keras_model.load(tmp_path))]
    assert signatures[0].dtype == np.float32
    np.testing.assert_array_equal(*signatures)
    # bfloat16 has 8 bits: a signature computed in it would have none of the finer ones.
    assert (
        signatures[0] != signatures[0].astype(keras.ops.cast(signatures[0], "bfloat16").numpy().dtype).astype(np.float32)
    ).any()


def test_a_training_that_diverges_is_reported(store: SequenceStore) -> None:
    with pytest.raises(DataError, match=r"diverged in epoch 1, step [0-9]"):
        trained(store, replace(TRAINING, optimizer="sgd", lr=1e6))


def test_too_few_sequences_for_a_validation_part_are_reported(store: SequenceStore) -> None:
    with pytest.raises(DataError, match="9 training sequences are too few: at least 10"):
        keras_loop.fit(None, store, range(9), TRAINING)


@pytest.mark.slow
def test_the_learning_rate_falls_on_a_plateau_and_training_stops_early(store: SequenceStore) -> None:
    # A learning rate of almost nothing changes no loss enough to count.
    training = replace(TRAINING, epochs=9, lr=1e-12, min_lr=1e-20, plateau_patience=1, stop_patience=4, extra_epochs=0)
    _, history = trained(store, training)
    rates = [row["learning_rate"] for row in history]
    assert rates[-1] < 0.3 * rates[0]
    assert len(history) < 9


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_the_same_however_they_are_made(store: SequenceStore, workers: int) -> None:
    training = replace(TRAINING, epochs=1, extra_epochs=0, augment=True)
    assert same(trained(store, training)[0], trained(store, training, workers=workers)[0])


class TestInterrupted:
    """Trainings that go on from a checkpoint end as those that were never interrupted."""

    training = replace(TRAINING, epochs=3, extra_epochs=2, optimizer="sgd", lr=0.01, augment=True, plateau_patience=1)

    def checkpoints(self, where: Path, model: Any, every_s: float = 0) -> Checkpoints:
        return Checkpoints(where, every_s, lambda path: keras_model.save(model, path))

    @pytest.fixture(scope="class")
    def unbroken(self, store: SequenceStore) -> tuple[Any, Any]:
        return trained(store, self.training, network(0.4))

    @pytest.mark.slow
    # In the extra part, in the first epoch, in a later one, at the end of a part.
    @pytest.mark.parametrize("steps", [1, 7, 18, 22])
    def test_at_any_step(self, store: SequenceStore, unbroken: tuple[Any, Any], tmp_path: Path, steps: int) -> None:
        class Interrupted(Exception): ...

        class Watcher:
            def step(self, done: int, total: int) -> None:
                if done > steps:
                    raise Interrupted

            def row(self, number: int, values: Mapping[str, float]) -> None: ...

        whole, expected = unbroken
        model = network(0.4)
        with pytest.raises(Interrupted):
            trained(store, self.training, model, checkpoints=self.checkpoints(tmp_path, model), watcher=Watcher())
        again = network(0.4)
        checkpoints = self.checkpoints(tmp_path, again, 1e9)
        checkpoint = checkpoints.load()
        assert checkpoint is not None
        assert checkpoint[1]["done"] == steps
        _, history = trained(store, self.training, again, checkpoints=checkpoints)
        assert same(whole, again)
        assert history == expected

    def test_a_complete_one_is_not_trained_again(
        self, store: SequenceStore, complete: tuple[Any, Any, Path], tmp_path: Path
    ) -> None:
        model, expected, where = complete
        shutil.copytree(where, tmp_path, dirs_exist_ok=True)
        again = network()
        _, history = trained(store, TRAINING, again, checkpoints=self.checkpoints(tmp_path, again))
        assert history == expected
        assert same(model, again)

    @pytest.mark.slow
    def test_a_stop_is_remembered(self, store: SequenceStore, tmp_path: Path) -> None:
        training = replace(TRAINING, epochs=9, lr=1e-12, stop_patience=2, extra_epochs=0)
        model = network()
        _, expected = trained(store, training, model, checkpoints=self.checkpoints(tmp_path, model))
        again = network()
        _, history = trained(store, training, again, checkpoints=self.checkpoints(tmp_path, again))
        assert history == expected

    @pytest.mark.slow
    def test_by_kill_9(self, store: SequenceStore, tmp_path: Path) -> None:
        program = f"""
from dataclasses import replace
from pathlib import Path
from gaitpress.frameworks import keras_models
keras_models.use_threads(1)
from gait.data.prepared.sequences import SequenceStore
from tests.gait import test_keras_training as here
import sys
out, store = Path(sys.argv[1]), SequenceStore.open(Path({str(store.directory)!r}))
model = here.network(0.4)
checkpoints = here.Checkpoints(out / "kept", 0.05, lambda where: here.keras_model.save(model, where))
here.trained(store, replace(here.TestInterrupted.training, epochs=20), model, checkpoints=checkpoints)
here.keras_model.save(model, out)
"""
        command = [sys.executable, "-c", program, str(tmp_path / "killed")]
        (tmp_path / "killed").mkdir()
        later_s = np.random.default_rng().uniform(0, 1.5)
        kill_once_there(command, ROOT, tmp_path / "killed/kept/checkpoint", later_s=later_s)
        assert subprocess.run(command, cwd=ROOT).returncode == 0
        (tmp_path / "whole").mkdir()
        assert subprocess.run([*command[:-1], str(tmp_path / "whole")], cwd=ROOT).returncode == 0
        assert same(keras_model.load(tmp_path / "killed"), keras_model.load(tmp_path / "whole"))

    @pytest.mark.slow
    def test_a_checkpoint_of_another_model_is_reported(self, store: SequenceStore, tmp_path: Path) -> None:
        training = replace(TRAINING, epochs=1, extra_epochs=0)
        model = network()
        trained(store, training, model, checkpoints=self.checkpoints(tmp_path, model))
        other = keras_model.build(
            "cnn2d", {"filters": [96, 192, 512, 512], "dense": 2048, "signature": 512, "dropout": 0.0}, 0.0625, 2
        )
        with pytest.raises(DataError, match="checkpoint is of another model"):
            trained(store, training, other, checkpoints=self.checkpoints(tmp_path, other))


def test_whoever_asks_gets_the_batches_of_a_training_with_its_losses(store: SequenceStore) -> None:
    model = network(dropout=0.5)
    everyone = list(range(len(store.sequences)))
    asked, again = (keras_loop.batches_with_losses(model, store, everyone, TRAINING) for _ in range(2))
    classes = {"000": 0, "001": 1}
    batches = keras_loop.FlowBatches(store, everyone, classes, TRAINING, augment=False)
    signatures = keras.Model(model.input, model.layers[-1].input)
    for number in range(2):
        (samples, loss), (same, _) = next(asked), next(again)
        expected, labels = batches[number]
        assert np.array_equal(samples, expected)
        assert np.array_equal(samples, same)
        probabilities = np.asarray(model(samples, training=False))
        mean_loss = float(loss(signatures(samples, training=False)))
        assert mean_loss == pytest.approx(-np.log(probabilities[np.arange(len(labels)), labels]).mean(), rel=1e-5)
