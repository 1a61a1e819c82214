"""Training with Keras as the 2D/3D-CNN study prescribes: a classifier of identities on optical-flow samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from gait import losses, sampling
from gait.data.augmentation import augmented_flow
from gait.data.inputs import network_input
from gait.data.sequences import SequenceStore
from gait.errors import DataError
from gait.training.precision import bfloat16_is_native

VALIDATION_SHARE = 10  # one sequence in ten


@dataclass(frozen=True)
class KerasTraining:
    """How to train; the names are those of params.yaml.

    Attributes:
        epochs: at most this many, on the training part alone.
        optimizer: "sgd" (as published) or "adam"; ``momentum`` is that of sgd.
        plateau_factor, plateau_patience, min_lr: the learning rate is multiplied by the factor after that many epochs
            without a lower validation loss.
        stop_patience: training stops after that many epochs without a lower training loss.
        loss: the terms of the weighted sum, as :func:`gait.losses.terms` takes them.
        extra_epochs, extra_lr: then on training and validation part together.
        mixed_precision: compute in bfloat16 where that is safe and the CPU can; weights and probabilities stay float32.
    """

    epochs: int
    lr: float
    optimizer: str
    momentum: float
    plateau_factor: float
    plateau_patience: int
    min_lr: float
    stop_patience: int
    extra_epochs: int
    extra_lr: float
    loss: Sequence[Mapping[str, Any]]
    batch: int
    augment: bool
    mixed_precision: bool
    seed: int


class FlowBatches(keras.utils.PyDataset):
    """Samples of some sequences as batches ([n, 50, 60, 60] in px, class numbers), balanced over walking conditions."""

    def __init__(
        self,
        store: SequenceStore,
        positions: Sequence[int],
        classes: dict[str, int],
        batch: int,
        augment: bool,
        seed: int,
    ) -> None:
        super().__init__()
        self.store = store
        self.batch = batch
        self.augment = augment
        self.rng = np.random.default_rng(seed)
        chosen = [store.sequences[position] for position in positions]
        self.rows = [(sequence, row) for sequence in chosen for row in range(sequence.count)]
        self.labels = np.array([classes[sequence.identity] for sequence, _ in self.rows])
        self.order = sampling.balanced_batches([sequence.kind for sequence, _ in self.rows], batch, self.rng)

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        picked = next(self.order)
        samples = [self.store.frames(self.rows[place][0])[self.rows[place][1]] for place in picked]
        if self.augment:
            samples = [augmented_flow(sample, self.rng) for sample in samples]
        return network_input(np.stack(samples), self.store.kind), self.labels[picked]


def fit(model: Any, store: SequenceStore, train: Sequence[int], training: KerasTraining) -> list[dict[str, float]]:
    """Train a classifier in place.

    Args:
        model: a Keras classifier with one output for each training identity.
        store: preprocessed flow samples.
        train: positions of the training sequences; one in ten becomes the validation part.
        training: how.

    Returns:
        The history: for each epoch its number, loss, accuracy, and those of the validation part.

    Raises:
        DataError: the loss is no longer finite, there is no such loss, or there are too few sequences for a validation part.
    """
    keras.utils.set_random_seed(training.seed)
    names = sorted({store.sequences[position].identity for position in train})
    classes = {name: number for number, name in enumerate(names)}
    shuffled = np.random.default_rng(training.seed).permutation(np.asarray(train)).tolist()
    held_out = len(shuffled) // VALIDATION_SHARE
    if not held_out:
        raise DataError(f"{len(shuffled)} training sequences are too few: at least {VALIDATION_SHARE} are needed")

    def batches(positions: list[int], augment: bool) -> FlowBatches:
        return FlowBatches(store, positions, classes, training.batch, augment, training.seed)

    in_bfloat16 = training.mixed_precision and bfloat16_is_native()
    with _computing_in("mixed_bfloat16" if in_bfloat16 else "float32", model):
        learning, validation = batches(shuffled[held_out:], training.augment), batches(shuffled[:held_out], False)
        rows = []
        if training.epochs:
            rows += _run(model, training, training.lr, training.epochs, learning, validation)
        if training.extra_epochs:
            everything = batches(shuffled, training.augment)
            rows += _run(model, training, training.extra_lr, training.extra_epochs, everything, None)
    return [{"epoch": epoch, **row} for epoch, row in enumerate(rows, start=1)]


@contextmanager
def _computing_in(policy: str, model: Any) -> Iterator[None]:
    """Let all layers but the class probabilities compute in another type for a while; weights stay float32."""
    before = [layer.dtype_policy for layer in model.layers]
    try:
        for layer in model.layers[:-1]:
            layer.dtype_policy = keras.DTypePolicy(policy)
        yield
    finally:
        for layer, original in zip(model.layers, before, strict=True):
            layer.dtype_policy = original


class _Learner(keras.Model):
    """A classifier in training: its losses see the signature, which the classifier reads, beside the probabilities."""

    def __init__(self, model: Any, terms: Sequence[losses.Term]) -> None:
        super().__init__(model.input, [model.layers[-1].input, model.output], name="learner")
        self.terms = terms
        self.accuracy = keras.metrics.SparseCategoricalAccuracy("accuracy")

    def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True) -> Any:
        signatures, probabilities = y_pred
        told = [term.compute(signatures[:, None], probabilities, y)[0] * term.weight for term in self.terms]
        return sum(told) + sum(self.losses)  # the latter are the layers' regularisers

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        self.accuracy.update_state(y, y_pred[1])
        return self.get_metrics_result()


def _optimizer(training: KerasTraining, lr: float) -> Any:
    if training.optimizer == "adam":
        return keras.optimizers.Adam(lr)
    return keras.optimizers.SGD(lr, training.momentum)


def _run(
    model: Any, training: KerasTraining, lr: float, epochs: int, batches: FlowBatches, validation: FlowBatches | None
) -> list[dict[str, float]]:
    learner = _Learner(model, losses.terms(training.loss))
    learner.compile(optimizer=_optimizer(training, lr))
    callbacks = [
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.EarlyStopping("loss", patience=training.stop_patience),
    ]
    if validation is not None:
        factor, patience = training.plateau_factor, training.plateau_patience
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau("val_loss", factor=factor, patience=patience, min_lr=training.min_lr)
        )
    history = learner.fit(batches, epochs=epochs, validation_data=validation, callbacks=callbacks, verbose=2).history
    if not np.isfinite(history["loss"][-1]):
        raise DataError(f"training diverged in epoch {len(history['loss'])}: the loss is not finite; try a lower lr")
    return [{name: float(values[epoch]) for name, values in history.items()} for epoch in range(len(history["loss"]))]
