"""What criteria need from a Keras network besides its weights, for the groups of :mod:`compress.pruning.keras_surgery`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from compress.pruning import measures
from compress.pruning.criteria import Measured
from compress.pruning.measures import Batch


def measured(model: Any, groups: Sequence[Any], quantities: Iterable[str], batches: Iterable[Batch]) -> Measured:
    """Each quantity by convolution, as :mod:`compress.pruning.criteria` describes it.

    Args:
        model: a classifier.
        groups: the groups to measure.
        quantities: some of :data:`compress.pruning.criteria.MEASURED`.
        batches: training batches, for effects and outputs; their losses take the input of the last layer, the classifier.

    Raises:
        CompressionError: a layer has no batch norm, or :func:`compress.pruning.measures.effects` raises it.
    """
    measure = {
        "scales": lambda: _scales(model, groups),
        "effects": lambda: _effects(model, groups, batches),
        "outputs": lambda: _outputs(model, groups, batches),
        "readers": lambda: _readers(model, groups),
    }
    return measures.measured(quantities, {group.conv: (group.conv,) for group in groups}, measure)


def _scales(model: Any, groups: Sequence[Any]) -> dict[str, np.ndarray]:
    scales = {}
    for group in groups:
        passed = [model.get_layer(name) for name in group.along]
        norms = [layer for layer in passed if isinstance(layer, keras.layers.BatchNormalization) and layer.scale]
        if not norms:
            raise measures.no_batch_norm(group.conv)
        scales[group.conv] = norms[0].gamma.numpy().astype(np.float64)
    return scales


def _effects(model: Any, groups: Sequence[Any], batches: Iterable[Batch]) -> dict[str, np.ndarray]:
    outputs = _read_outputs(model, groups)
    network = keras.Model(model.input, [model.layers[-1].input, *outputs.values()])

    def of_batch(batch: Batch) -> dict[str, np.ndarray]:
        samples, loss = tf.convert_to_tensor(batch[0]), batch[1]
        with tf.GradientTape() as tape:
            tape.watch(samples)  # whether or not a layer's weights are trainable
            signatures, *activations = network(samples, training=False)
            value = loss(signatures)
        gradients = tape.gradient(value, activations, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        products = [(activation * gradient).numpy() for activation, gradient in zip(activations, gradients, strict=True)]
        # The samples are on the first axis and the channels on the last; the axes between them are positions.
        sums = [product.sum(tuple(range(1, product.ndim - 1))) for product in products]
        return dict(zip(outputs, sums, strict=True))

    return measures.effects(batches, of_batch)


def _outputs(model: Any, groups: Sequence[Any], batches: Iterable[Batch]) -> dict[str, np.ndarray]:
    outputs = _read_outputs(model, groups)
    network = keras.Model(model.input, outputs)

    def of_batch(samples: np.ndarray) -> dict[str, np.ndarray]:
        maps = network(samples, training=False)
        rows = {conv: values.numpy().reshape(-1, values.shape[-1]) for conv, values in maps.items()}
        return {conv: values.T @ values for conv, values in rows.items()}

    return measures.products(batches, of_batch)


def _read_outputs(model: Any, groups: Sequence[Any]) -> dict[str, Any]:
    """What the next layer reads, by convolution: the output of the last layer that keeps channels separate, after batch
    norm, activation and pooling."""
    return {group.conv: model.get_layer((group.conv, *group.along)[-1]).output for group in groups}


def _readers(model: Any, groups: Sequence[Any]) -> dict[str, np.ndarray]:
    by_conv = {}
    for group in groups:
        kernel = model.get_layer(group.reader).kernel.numpy()
        filters = model.get_layer(group.conv).filters
        # A flattened map has all channels of the first pixel, then all of the next.
        pixels = kernel.reshape(-1, filters, kernel.shape[-1])
        by_conv[group.conv] = measures.weight_products([np.moveaxis(pixels, 1, 0).reshape(filters, -1)])
    return by_conv
