"""The part of measuring a network for criteria that is the same in both frameworks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from compress.errors import CompressionError

SAMPLES = 256  # once there are this many, no more batches are measured

# Samples as the network takes them, [samples, ...], and a function from the network's output for them to the loss, a scalar.
Batch = tuple[Any, Callable[[Any], Any]]


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
    parts: list[Mapping[str, np.ndarray]] = []
    seen = 0
    for batch in batches:
        parts.append(of_batch(batch))
        seen += len(batch[0])
        if seen >= SAMPLES:
            break
    if not parts:
        raise CompressionError("the criterion needs training batches, and there are none")
    whole = {unit: np.concatenate([part[unit] for part in parts]).astype(np.float64) for unit in parts[0]}
    if not any(values.any() for values in whole.values()):
        raise CompressionError(
            f"the training loss of {seen} samples depends on no filter, as happens when a network makes no more errors; "
            "take a criterion that needs no data"
        )
    return whole


def no_batch_norm(layer: str) -> CompressionError:
    """The error for a layer without the scales that a criterion needs."""
    return CompressionError(
        f"layer {layer}: no batch norm with a scale follows its convolution, and prune.criterion needs one; "
        "take another criterion, or name the layer under prune.spare"
    )
