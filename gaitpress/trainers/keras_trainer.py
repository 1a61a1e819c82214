"""Training with Keras, as :mod:`gaitpress.trainers` asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from gait.data.prepared.sequences import SequenceStore
from gait.training.keras import loop
from gaitpress.embedders import keras_embedder
from gaitpress.params.finetune import KerasFinetune
from gaitpress.params.model import KerasModel
from gaitpress.trainers import validation


class Alone:
    """The only process of a training."""

    first = True

    def wait(self) -> None: ...


@contextmanager
def joined() -> Iterator[Alone]:
    yield Alone()


def fit(
    model: Any, store: SequenceStore, train: Sequence[int], entry: KerasModel, session: Mapping[str, Any]
) -> list[dict[str, float]]:
    return _fit(model, store, train, entry, {**dict(entry.schedule), "lr": entry.optimizer.lr}, session)


def finetune(
    model: Any,
    store: SequenceStore,
    train: Sequence[int],
    entry: KerasModel,
    settings: KerasFinetune,
    session: Mapping[str, Any],
) -> list[dict[str, float]]:
    return _fit(model, store, train, entry, {**dict(entry.schedule), **dict(settings), "extra_epochs": 0}, session)


def gradient_batches(model: Any, store: SequenceStore, train: Sequence[int], entry: KerasModel) -> Iterator[tuple[Any, Any]]:
    training = _training(entry, {**dict(entry.schedule), "lr": entry.optimizer.lr})
    return loop.batches_with_losses(model, store, train, training)


def _fit(
    model: Any,
    store: SequenceStore,
    train: Sequence[int],
    entry: KerasModel,
    schedule: Mapping[str, Any],
    session: Mapping[str, Any],
) -> Any:
    surroundings = {name: session[name] for name in ("workers", "checkpoints", "watcher")}
    tests = validation(entry, store, session["validation"], partial(keras_embedder.embed, shown=False))
    return loop.fit(model, store, train, _training(entry, schedule), **surroundings, validation=tests)


def _training(entry: KerasModel, schedule: Mapping[str, Any]) -> loop.KerasTraining:
    return loop.KerasTraining(
        **schedule,
        optimizer=entry.optimizer.name,
        momentum=entry.optimizer.momentum,
        loss=[term.model_dump() for term in entry.loss],
        batch=entry.batch,
        augment=entry.augment,
        mixed_precision=entry.mixed_precision,
        seed=entry.seed,
    )
