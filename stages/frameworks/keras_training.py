"""Training and embedding with Keras, behind the protocol of :mod:`stages.frameworks`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np

from gait.data.sequences import SequenceStore
from gait.evaluation import signatures
from gait.training import keras_loop
from stages.frameworks import Alone, keras_models
from stages.params import KerasFinetune, KerasModel

EMBEDDED_AT_ONCE = 64


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


def _fit(
    model: Any,
    store: SequenceStore,
    train: Sequence[int],
    entry: KerasModel,
    schedule: Mapping[str, Any],
    session: Mapping[str, Any],
) -> Any:
    training = keras_loop.KerasTraining(
        **schedule,
        optimizer=entry.optimizer.name,
        momentum=entry.optimizer.momentum,
        loss=[term.model_dump() for term in entry.loss],
        batch=entry.batch,
        augment=entry.augment,
        mixed_precision=entry.mixed_precision,
        seed=entry.seed,
    )
    around = {name: session[name] for name in ("workers", "checkpoints", "watcher")}
    return keras_loop.fit(model, store, train, training, **around)


def embed(model: Any, store: SequenceStore, positions: Sequence[int], processes: Alone) -> signatures.Signatures:
    network = keras_models.network(model)
    shape = [1, *keras_models.SHAPE]
    inputs = (sample for position in positions for sample in signatures.samples(store, store.sequences[position], shape))
    batches = iter(lambda: list(islice(inputs, EMBEDDED_AT_ONCE)), [])
    found = (network.predict_on_batch(np.concatenate(batch)) for batch in batches)
    return signatures.Signatures.collect(signatures.owners(store, positions, shape), found)
