"""The part of measuring a network for criteria that is the same in both frameworks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from compress.errors import CompressionError
from compress.pruning.criteria import Measured

SAMPLES = 256  # once there are this many, no more batches are measured

# Samples as the network takes them, [samples, ...], and a function from the network's output for them to the loss, a scalar.
Batch = tuple[Any, Callable[[Any], Any]]


def measured(
    quantities: Iterable[str],
    units: Mapping[str, Sequence[str]],
    measure: Mapping[str, Callable[[], Mapping[str, np.ndarray]]],
) -> Measured:
    """Each quantity by layer and unit; nothing where there is no layer.

    Args:
        quantities: some of :data:`compress.pruning.criteria.MEASURED`.
        units: the units of each layer.
        measure: measures a quantity of all units, by unit.
    """
    if not units:
        return {}
    by_quantity = {quantity: measure[quantity]() for quantity in quantities}
    return {
        quantity: {layer: {unit: by_unit[unit] for unit in names} for layer, names in units.items()}
        for quantity, by_unit in by_quantity.items()
    }


def effects(batches: Iterable[Batch], of_batch: Callable[[Batch], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The effects of filters in the first batches that together have :data:`SAMPLES` samples, or in all batches.

    Args:
        batches: the training batches.
        of_batch: computes the effects in one batch, [samples, filters], by unit.

    Returns:
        float64 [samples, filters], by unit.

    Raises:
        CompressionError: there is no batch, or the loss depends on no filter.
    """
    parts = [of_batch(batch) for batch in _enough(batches)]
    whole = {unit: np.concatenate([part[unit] for part in parts]).astype(np.float64) for unit in parts[0]}
    if not any(values.any() for values in whole.values()):
        samples = len(next(iter(whole.values())))
        raise CompressionError(
            f"the training loss of {samples} samples depends on no filter, as happens when a network makes no more errors; "
            "take a criterion that needs no data"
        )
    return whole


def products(batches: Iterable[Batch], of_batch: Callable[[Any], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The sums of products of two filters' outputs over the samples that :func:`effects` takes.

    Args:
        batches: the training batches.
        of_batch: computes the sums of a batch of samples, [filters, filters], by layer.

    Returns:
        float64 [filters, filters], by layer.

    Raises:
        CompressionError: there is no batch.
    """
    parts = [of_batch(samples) for samples, _ in _enough(batches)]
    return {layer: np.stack([part[layer] for part in parts]).sum(0, dtype=np.float64) for layer in parts[0]}


def weight_products(tensors: Iterable[np.ndarray]) -> np.ndarray:
    """The sum of the products of the weights that read two filters, float64 [filters, filters].

    Args:
        tensors: the weights of each reader, [filters, weights].
    """
    exact = np.concatenate([tensor.astype(np.float64) for tensor in tensors], axis=1)
    sums: np.ndarray = exact @ exact.T
    return sums


def _enough(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The first batches that together have :data:`SAMPLES` samples, or all."""
    seen = 0
    for batch in batches:
        yield batch
        seen += len(batch[0])
        if seen >= SAMPLES:
            return
    if not seen:
        raise CompressionError("the criterion needs training batches, and there are none")


def no_batch_norm(layer: str) -> CompressionError:
    """The error for a layer without the scales that a criterion needs."""
    return CompressionError(
        f"layer {layer}: no batch norm with a scale follows its convolution, and prune.criterion needs one; "
        "take another criterion, or name the layer under prune.spare"
    )
