"""Keras models behind the protocol of :mod:`gaitpress.frameworks`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from gaitpress.frameworks.lean import without
from gaitpress.params.model import KerasModel

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# TensorFlow leaves oneDNN off on CPUs without AVX-512, though it makes training three times faster there too.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# For plots, wrappers and tables that nothing here uses: a third of the time that Keras takes to load.
with without("matplotlib", "pandas", "sklearn"):
    import keras
    import tensorflow as tf

import numpy as np
from threadpoolctl import threadpool_limits

from gait.data.prepared.sequences import SequenceStore
from gait.networks import keras_model

SHAPE = keras_model.SAMPLE
save, load = keras_model.save, keras_model.load


def use_threads(count: int) -> None:
    threadpool_limits(count, "blas")  # numpy's, which takes all processors by itself
    tf.config.threading.set_intra_op_parallelism_threads(count)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()


def build(name: str, entry: KerasModel, classes: int) -> Any:
    keras.utils.set_random_seed(entry.seed)
    return keras_model.build(name, entry.architecture, entry.width, classes)


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
    return [np.asarray(network(samples, training=False)) for samples in inputs]


def parameters(model: Any) -> int:
    return keras_model.signature_model(model).count_params()


def signature_shape(model: Any) -> list[int]:
    return [1, model.layers[-1].input.shape[-1]]


def layers(model: Any, entry: KerasModel) -> list[dict[str, Any]]:
    return keras_model.layers(model)
