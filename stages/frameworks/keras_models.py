"""Keras models behind the protocol of :mod:`stages.frameworks`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# TensorFlow leaves oneDNN off on CPUs without AVX-512, where it trains three times faster too.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import keras
import numpy as np
import tensorflow as tf

from gait.data.sequences import SequenceStore
from gait.evaluation import signatures
from gait.models import keras_model
from gait.training import keras_loop
from stages.frameworks import Alone
from stages.params import KerasFinetune, KerasModel

SHAPE = keras_model.SAMPLE
EMBEDDED_AT_ONCE = 64
save, load = keras_model.save, keras_model.load


def use_threads(count: int) -> None:
    tf.config.threading.set_intra_op_parallelism_threads(count)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()


def build(name: str, entry: KerasModel, classes: int) -> Any:
    keras.utils.set_random_seed(entry.seed)
    return keras_model.build(name, entry.architecture, entry.width, classes)


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
    network = keras_model.signature_model(model)
    inputs = (
        sample for position in positions for sample in signatures.samples(store, store.sequences[position], (1, *SHAPE))
    )
    batches = iter(lambda: list(islice(inputs, EMBEDDED_AT_ONCE)), [])
    found = (network.predict_on_batch(np.concatenate(batch)) for batch in batches)
    return signatures.Signatures.collect(signatures.owners(store, positions, (1, *SHAPE)), found)


def input_shape(model: Any, entry: KerasModel, dynamic_frames: bool) -> list[int | str]:
    return [1, *SHAPE]


def benchmark_shape(model: Any, entry: KerasModel) -> list[int]:
    return [1, *SHAPE]


def inferences_per_video_second(entry: KerasModel, store: SequenceStore) -> float:
    return store.fps / store.settings["stride"]


def network(model: Any) -> Any:
    return keras_model.signature_model(model)


def outputs(model: Any, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    network = keras_model.signature_model(model)
    return [np.asarray(network(each, training=False)) for each in inputs]


def parameters(model: Any) -> int:
    return keras_model.signature_model(model).count_params()


def signature_shape(model: Any) -> list[int]:
    return [1, model.layers[-1].input.shape[-1]]


def layers(model: Any, entry: KerasModel) -> list[dict[str, Any]]:
    return keras_model.layers(model)
