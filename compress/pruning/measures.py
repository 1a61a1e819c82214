"""What criteria need of a network beside its weights, as far as it is the same in both frameworks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from compress.errors import CompressionError

SAMPLES = 256  # from so many on, batches are enough

# Samples as the network takes them, [samples, ...], and the loss, a scalar, of what the network gives for them.
Batch = tuple[Any, Callable[[Any], Any]]


def effects(batches: Iterable[Batch], of_batch: Callable[[Batch], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The effects of filters in as many batches as give :data:`SAMPLES` samples, or in all.

    Args:
        batches: with the loss of each.
        of_batch: gives the effects in one batch, [samples, filters], by unit.

    Returns:
        float64 [samples, filters], by unit.

    Raises:
        CompressionError: there is no batch, or the loss of none of them depends on any filter.
    """
    found: list[Mapping[str, np.ndarray]] = []
    seen = 0
    for batch in batches:
        found.append(of_batch(batch))
        seen += len(batch[0])
        if seen >= SAMPLES:
            break
    if not found:
        raise CompressionError("the criterion needs training batches, and there are none")
    whole = {unit: np.concatenate([part[unit] for part in found]).astype(np.float64) for unit in found[0]}
    if not any(values.any() for values in whole.values()):
        raise CompressionError(
            f"the training loss of {seen} samples depends on no filter, as that of a network that makes no error any more; "
            "take a criterion that needs no data"
        )
    return whole


def no_batch_norm(layer: str) -> CompressionError:
    """The error for a layer without the scales that a criterion needs."""
    return CompressionError(
        f"layer {layer}: no batch norm with a scale follows its convolution, and prune.criterion needs one; "
        "take another criterion, or name the layer under prune.spare"
    )
