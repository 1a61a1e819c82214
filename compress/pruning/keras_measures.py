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
        quantities: "scales", "effects" or both.
        batches: training batches, for effects; their losses take the input of the last layer, the classifier.

    Raises:
        CompressionError: a layer has no batch norm, or :func:`compress.pruning.measures.effects` raises it.
    """
    by_quantity = {}
    for quantity in quantities:
        by_layer = _scales(model, groups) if quantity == "scales" else _effects(model, groups, batches)
        by_quantity[quantity] = {conv: {conv: values} for conv, values in by_layer.items()}
    return by_quantity


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
    # The last layer that keeps channels separate, after batch norm, activation and pooling: the next layer reads its output.
    places = {group.conv: (group.conv, *group.along)[-1] for group in groups}
    outputs = [model.get_layer(name).output for name in places.values()]
    network = keras.Model(model.input, [model.layers[-1].input, *outputs])

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
        return dict(zip(places, sums, strict=True))

    return measures.effects(batches, of_batch)
