"""Training with Keras as the 2D/3D-CNN study prescribes: a classifier of identities on optical-flow samples."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import keras
import numpy as np

from gait import losses
from gait.data.prepared.inputs import network_input
from gait.data.prepared.sequences import SequenceStore
from gait.errors import DataError
from gait.training import decays, sampling
from gait.training.checkpoints import Checkpoints
from gait.training.keras.augmentation import augmented_flow
from gait.training.precision import bfloat16_is_native
from gait.training.validation import Validation
from gait.training.watching import Nobody, Watcher

VALIDATION_SHARE = 10  # one sequence in ten
# The attributes of Keras's callbacks that a checkpoint keeps.
REMEMBERED = ("best", "wait", "cooldown_counter", "stopped_epoch")
BEST = "best."  # before the names of the best weights in a checkpoint


@dataclass(frozen=True)
class KerasTraining:
    """How to train; the names are those of params.yaml.

    Attributes:
        epochs: the greatest number of epochs on the training part alone.
        optimizer: "sgd" (as published) or "adam"; ``momentum`` is that of sgd.
        decay: how the learning rate changes from step to step: a name of :mod:`gait.training.decays`, or "plateau".
        plateau_factor, plateau_patience, min_lr: of "plateau": the learning rate is multiplied by the factor after that many
            epochs without a lower validation loss.
        stop_patience: training stops after that many epochs without a lower training loss.
        loss: the terms of the weighted sum, as :func:`gait.losses.terms` takes them.
        extra_epochs, extra_lr: of the epochs that follow, on the training and validation parts together.
        mixed_precision: compute in bfloat16 where that is safe and the CPU can; weights and probabilities stay float32.
    """

    epochs: int
    lr: float
    optimizer: str
    momentum: float
    decay: str
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


class FlowBatches:
    """Batches by their number, balanced over walking conditions: samples [n, 50, 60, 60] in px, and class numbers [n].

    The content of a batch follows from the seed and its number alone.

    Attributes:
        length: the number of batches in an epoch.
    """

    def __init__(
        self, store: SequenceStore, positions: Sequence[int], classes: dict[str, int], training: KerasTraining, augment: bool
    ) -> None:
        self._store = store
        self._augment = augment
        self._seed = training.seed
        chosen = [store.sequences[position] for position in positions]
        self._rows = [(sequence, row) for sequence in chosen for row in range(sequence.count)]
        self._labels = np.array([classes[sequence.identity] for sequence, _ in self._rows])
        kinds = [sequence.kind for sequence, _ in self._rows]
        self._order = sampling.BalancedBatches(kinds, training.batch, training.seed)
        self.length = -(-len(self._rows) // training.batch)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        picked = self._order[number]
        samples = [self._store.frames(self._rows[place][0])[self._rows[place][1]] for place in picked]
        if self._augment:
            rng = np.random.default_rng((self._seed, number))
            samples = [augmented_flow(sample, rng) for sample in samples]
        return network_input(np.stack(samples), self._store.kind), self._labels[picked]


def _ahead(batches: FlowBatches, numbers: range, workers: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches in order, made ahead by ``workers`` threads; 0 makes them when they are needed."""
    if not workers:
        yield from (batches[number] for number in numbers)
        return
    with ThreadPoolExecutor(workers) as threads:
        begun: deque[Future[tuple[np.ndarray, np.ndarray]]] = deque()
        for number in numbers:
            begun.append(threads.submit(batches.__getitem__, number))
            if len(begun) > 2 * workers:
                yield begun.popleft().result()
        yield from (future.result() for future in begun)


@dataclass(frozen=True)
class _Part:
    """A part of a training, with an optimizer of its own."""

    epochs: int
    lr: float
    batches: FlowBatches
    validation: FlowBatches | None


@dataclass
class _State:
    """The progress of a training.

    Attributes:
        part: the number of the current part, counted from 0.
        epoch, step: the number of complete epochs in the part, and of complete steps in the epoch.
        sums: the sums of the loss and the metrics over the epoch's steps.
        history: a row for each epoch.
        callbacks: the state of the part's callbacks.
    """

    part: int = 0
    epoch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    callbacks: list[dict[str, float]] = field(default_factory=list)


def fit(
    model: Any,
    store: SequenceStore,
    train: Sequence[int],
    training: KerasTraining,
    *,
    workers: int = 0,
    checkpoints: Checkpoints | None = None,
    watcher: Watcher | None = None,
    validation: Validation | None = None,
) -> list[dict[str, float]]:
    """Train a classifier in place.

    Args:
        model: a Keras classifier with one output for each training identity.
        store: preprocessed flow samples.
        train: positions of the training sequences; one in ten becomes the validation part.
        training: how to train.
        workers: threads that make batches ahead; 0 makes them when they are needed.
        checkpoints: where training saves checkpoints; if there is one, training continues from it.
        watcher: hears of every step and epoch.
        validation: the tests on people set aside; its patience ends a part of the training. If left out, the classifier has
            the last weights in the end.

    Returns:
        The history: for each epoch its number, loss, accuracy, those of the validation part, the learning rate, and the
        rates of a test after it.

    Raises:
        DataError: the loss is no longer finite, there is no such loss, there are too few sequences for a validation part, or
            a checkpoint does not fit.
    """
    keras.utils.set_random_seed(training.seed)
    classes = _classes(store, train)
    shuffled = np.random.default_rng(training.seed).permutation(np.asarray(train)).tolist()
    held_out = len(shuffled) // VALIDATION_SHARE
    if not held_out:
        raise DataError(f"{len(shuffled)} training sequences are too few: at least {VALIDATION_SHARE} are needed")

    def batches(positions: list[int], augment: bool) -> FlowBatches:
        return FlowBatches(store, positions, classes, training, augment)

    learning, validating = batches(shuffled[held_out:], training.augment), batches(shuffled[:held_out], False)
    parts = [
        _Part(training.epochs, training.lr, learning, validating),
        _Part(training.extra_epochs, training.extra_lr, batches(shuffled, training.augment), None),
    ]
    _seed_layers(model, training.seed)
    in_bfloat16 = training.mixed_precision and bfloat16_is_native()
    with _computing_in("mixed_bfloat16" if in_bfloat16 else "float32", model):
        learner = _Learner(model, losses.terms(training.loss))
        return _Run(model, learner, training, parts, workers, checkpoints, watcher or Nobody(), validation).whole()


def batches_with_losses(
    model: Any, store: SequenceStore, train: Sequence[int], training: KerasTraining
) -> Iterator[tuple[np.ndarray, Callable[[Any], Any]]]:
    """The batches of a training and their losses, to ask how the loss depends on something.

    Args:
        model: the classifier.
        store, train: as for :func:`fit`; here all sequences train.
        training: only its batch, augmentation, loss and seed matter.

    Yields:
        Samples [n, 50, 60, 60] in px, and a function from the network's signatures [n, channels] for them to the loss;
        without end.
    """
    terms = losses.terms(training.loss)
    batches = FlowBatches(store, train, _classes(store, train), training, training.augment)

    def loss_of(signatures: Any, labels: np.ndarray) -> Any:
        return _weighed(terms, signatures, model.layers[-1](signatures), labels)

    for number in count():
        samples, labels = batches[number]
        yield samples, partial(loss_of, labels=labels)


def _classes(store: SequenceStore, train: Sequence[int]) -> dict[str, int]:
    """The class number of each training identity."""
    names = sorted({store.sequences[position].identity for position in train})
    return {name: number for number, name in enumerate(names)}


def _seed_layers(model: Any, seed: int) -> None:
    """Give every layer that draws at random, such as dropout, a state by the seed; each loading gives it another state."""
    drawing = [layer for layer in model.layers if hasattr(layer, "seed_generator")]
    for layer, sequence in zip(drawing, np.random.SeedSequence(seed).spawn(len(drawing)), strict=True):
        layer.seed_generator.state.assign([*sequence.generate_state(1), 0])


def _weighed(terms: Sequence[losses.Term], signatures: Any, probabilities: Any, labels: Any) -> Any:
    """The weighted sum of the terms."""
    return sum(term.compute(signatures[:, None], probabilities, labels)[0] * term.weight for term in terms)


@contextmanager
def _computing_in(policy: str, model: Any) -> Iterator[None]:
    """In this context, all layers except the classifier compute by another dtype policy; weights stay float32."""
    before = [layer.dtype_policy for layer in model.layers]
    try:
        for layer in model.layers[:-1]:
            layer.dtype_policy = keras.DTypePolicy(policy)
        yield
    finally:
        for layer, original in zip(model.layers, before, strict=True):
            layer.dtype_policy = original


class _Learner(keras.Model):
    """A network in training: its losses see the signature, which the classifier reads, and the class probabilities."""

    def __init__(self, model: Any, terms: Sequence[losses.Term]) -> None:
        super().__init__(model.input, [model.layers[-1].input, model.output], name="learner")
        self.terms = terms
        self.accuracy = keras.metrics.SparseCategoricalAccuracy("accuracy")

    def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True) -> Any:
        signatures, probabilities = y_pred
        regularisers = sum(self.losses)  # those of the layers
        return _weighed(self.terms, signatures, probabilities, y) + regularisers

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        self.accuracy.update_state(y, y_pred[1])
        return self.get_metrics_result()


class _Run:
    """One training, which continues from its checkpoint."""

    def __init__(
        self,
        model: Any,
        learner: _Learner,
        training: KerasTraining,
        parts: Sequence[_Part],
        workers: int,
        checkpoints: Checkpoints | None,
        watcher: Watcher,
        validation: Validation | None,
    ) -> None:
        self.model, self.learner, self.training, self.parts = model, learner, training, parts
        self.workers, self.checkpoints, self.watcher, self.validation = workers, checkpoints, watcher, validation
        self.total = sum(part.epochs * part.batches.length for part in parts)
        self.state = _State()
        self.best: list[np.ndarray] = []  # the best weights, if they are kept

    def whole(self) -> list[dict[str, float]]:
        """Train and return the history."""
        checkpoint = self.checkpoints and self.checkpoints.load()
        if checkpoint:
            directory, state, tensors = checkpoint
            state.pop("done")
            self.state = _State(**state)
            self._begin(self.state.part)
            self._restore(directory, tensors)
        for number in range(self.state.part, len(self.parts)):
            if number != self.state.part or not checkpoint:
                self.state.part, self.state.epoch, self.state.step, self.state.callbacks = number, 0, 0, []
                self._begin(number)
            self._part(self.parts[number])
        self._save()
        for variable, value in zip(self.learner.variables, self.best, strict=bool(self.best)):
            variable.assign(value)
        return self.state.history

    def _begin(self, number: int) -> None:
        """Give a part a fresh optimizer and fresh callbacks."""
        part, training = self.parts[number], self.training
        self.learner.compile(optimizer=_optimizer(training, part.lr))
        self.learner.optimizer.build(self.learner.trainable_variables)
        self.learner.stop_training = False
        callbacks: list[Any] = [keras.callbacks.EarlyStopping("loss", patience=training.stop_patience)]
        if part.validation is not None and training.decay == "plateau":
            factor, patience = training.plateau_factor, training.plateau_patience
            callbacks.append(
                keras.callbacks.ReduceLROnPlateau("val_loss", factor=factor, patience=patience, min_lr=training.min_lr)
            )
        self.callbacks = keras.callbacks.CallbackList(callbacks, model=self.learner)
        self.callbacks.on_train_begin()

    def _part(self, part: _Part) -> None:
        state = self.state
        self.watcher.step(self._done(), self.total)
        while state.epoch < part.epochs and not self.learner.stop_training:
            first = state.epoch * part.batches.length
            numbers = range(first + state.step, first + part.batches.length)
            for samples, labels in _ahead(part.batches, numbers, self.workers):
                self._set_lr(part)
                logs = self.learner.train_on_batch(samples, labels, return_dict=True)
                state.step += 1
                self._check(logs)
                _add(state.sums, logs)
                self.watcher.step(self._done(), self.total)
                if self.checkpoints is not None and self.checkpoints.due():
                    self._save()
            self._end_epoch(part)

    def _set_lr(self, part: _Part) -> None:
        """Set the learning rate of the next step, unless a callback sets it at plateaus."""
        if self.training.decay != "plateau":
            steps = part.epochs * part.batches.length
            step = self.state.epoch * part.batches.length + self.state.step + 1
            self.learner.optimizer.learning_rate.assign(part.lr * decays.share(self.training.decay, step, steps))

    def _check(self, logs: dict[str, float]) -> None:
        if not np.isfinite(logs["loss"]):
            kept = f"; the last good checkpoint: {self.checkpoints}" if self.checkpoints else ""
            raise DataError(
                f"training diverged in epoch {len(self.state.history) + 1}, step {self.state.step}: the loss is not finite; "
                f"try a lower lr{kept}"
            )

    def _end_epoch(self, part: _Part) -> None:
        state = self.state
        logs = {name: total / state.step for name, total in state.sums.items()}
        if part.validation is not None:
            sums: dict[str, float] = {}
            for samples, labels in _ahead(part.validation, range(part.validation.length), self.workers):
                _add(sums, self.learner.test_on_batch(samples, labels, return_dict=True))
            logs |= {f"val_{name}": total / part.validation.length for name, total in sums.items()}
        logs["learning_rate"] = float(keras.ops.convert_to_numpy(self.learner.optimizer.learning_rate))
        self.callbacks.on_epoch_end(state.epoch, logs)
        state.history.append({"epoch": len(state.history) + 1, **logs})
        is_last = self.learner.stop_training  # by a callback
        if self.validation is not None and (is_last or self.validation.due(state.epoch + 1, part.epochs)):
            self._test(self.validation)
        state.callbacks = [_remembered(callback) for callback in self.callbacks.callbacks]
        state.epoch, state.step, state.sums = state.epoch + 1, 0, {}
        self.watcher.row(len(state.history), state.history[-1])

    def _test(self, validation: Validation) -> None:
        """Add the rates on people set aside to the last epoch, and keep its weights or end the part by them."""
        with _computing_in("float32", self.model):
            self.state.history[-1].update(validation.rates(self.model))
        if validation.is_best(self.state.history):
            self.best = [np.asarray(variable.value) for variable in self.learner.variables]
        if validation.has_stalled(self.state.history[-1 - self.state.epoch :]):
            self.learner.stop_training = True

    def _done(self) -> int:
        before = sum(part.epochs * part.batches.length for part in self.parts[: self.state.part])
        return before + self.state.epoch * self.parts[self.state.part].batches.length + self.state.step

    def _variables(self) -> dict[str, Any]:
        """All that a step changes: weights, the state of random numbers, and the optimizer's state."""
        variables = [*self.learner.variables, *self.learner.optimizer.variables]
        return {f"{number}": variable for number, variable in enumerate(variables)}

    def _save(self) -> None:
        if self.checkpoints is not None:
            tensors = {name: np.asarray(variable.value) for name, variable in self._variables().items()}
            tensors |= {f"{BEST}{number}": value for number, value in enumerate(self.best)}
            self.checkpoints.save({"done": self._done(), **asdict(self.state)}, tensors)

    def _restore(self, directory: Path, tensors: dict[str, np.ndarray]) -> None:
        variables = self._variables()
        kept = sum(name.startswith(BEST) for name in tensors)
        self.best = [tensors.pop(f"{BEST}{number}") for number in range(kept)]
        if {name: tuple(variable.shape) for name, variable in variables.items()} != {
            name: tensor.shape for name, tensor in tensors.items()
        }:
            raise DataError(f"{directory}: the checkpoint is of another model; remove it to train from the start")
        for name, variable in variables.items():
            variable.assign(tensors[name])
        for callback, remembered in zip(self.callbacks.callbacks, self.state.callbacks, strict=False):
            vars(callback).update(remembered)
        rows = self.state.history[len(self.state.history) - self.state.epoch :]
        stalled = self.validation is not None and self.validation.has_stalled(rows)
        self.learner.stop_training = stalled or any(past.get("stopped_epoch") for past in self.state.callbacks)


def _add(sums: dict[str, float], logs: Mapping[str, float]) -> None:
    for name, value in logs.items():
        sums[name] = sums.get(name, 0.0) + float(value)


def _remembered(callback: Any) -> dict[str, float]:
    """The state that a callback's decisions depend on."""
    return {name: value for name, value in vars(callback).items() if name in REMEMBERED}


def _optimizer(training: KerasTraining, lr: float) -> Any:
    if training.optimizer == "adam":
        return keras.optimizers.Adam(lr)
    return keras.optimizers.SGD(lr, training.momentum)
