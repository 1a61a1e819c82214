"""Which filters stay: scores, percentiles and rounding, for both frameworks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from compress.errors import CompressionError


@dataclass(frozen=True)
class PruneSettings:
    """How much to remove and by what measure; the names are those of params.yaml.

    Attributes:
        percentile: filters that score strictly below this percentile of the scores go; 0 removes none.
        criterion: "l1", the sum of |w| of a filter's kernel, or "mean-l1", that sum divided by the kernel's size. The
            plain sum grows with the fan-in, so under the global scope it empties the early layers first.
        scope: "layer", each layer's own percentile, or "global", one threshold for all layers.
        round_to: the filters that stay in a pruned layer are rounded to the nearest multiple of this.
        keep_min: no layer keeps fewer, unless it never had them.
    """

    percentile: float
    criterion: str
    scope: str
    round_to: int
    keep_min: int


@dataclass(frozen=True)
class Selection:
    """What stays of a layer, or of several that must lose the same filters.

    Attributes:
        filters: how many there were.
        kept: positions of those that stay, ascending.
        threshold: the score below which filters were to go, before rounding.
    """

    filters: int
    kept: np.ndarray
    threshold: float


def filter_scores(kernels: np.ndarray, criterion: str) -> np.ndarray:
    """Importance of each filter: kernels [filters, ...] -> [filters], in float64 (Li et al., ICLR 2017)."""
    flat = np.abs(kernels.reshape(len(kernels), -1).astype(np.float64))
    return flat.sum(1) if criterion == "l1" else flat.mean(1)


def select(scores: Mapping[str, np.ndarray], settings: PruneSettings) -> dict[str, Selection]:
    """Choose the filters that stay.

    Args:
        scores: importance of each filter, by layer; layers that lose filters together come as one, with mean scores.
        settings: how much goes.

    Raises:
        CompressionError: there is nothing to prune, or a score is not finite.
    """
    if not scores:
        raise CompressionError("the model has no prunable layer")
    for name, values in scores.items():
        if not np.isfinite(values).all():
            raise CompressionError(f"layer {name}: its weights are not finite; train it again with a lower lr")
    overall = float(np.percentile(np.concatenate(list(scores.values())), settings.percentile))
    return {name: _select_layer(values, overall, settings) for name, values in scores.items()}


def _select_layer(scores: np.ndarray, overall: float, settings: PruneSettings) -> Selection:
    own = float(np.percentile(scores, settings.percentile))
    threshold = own if settings.scope == "layer" else overall
    wanted = int((scores >= threshold).sum())
    if wanted < len(scores):
        rounded = settings.round_to * round(wanted / settings.round_to)
        wanted = min(max(rounded, settings.keep_min, 1), len(scores))
    # A stable sort makes equal scores fall in the same order on every machine.
    kept = np.sort(np.argsort(-scores, kind="stable")[:wanted])
    return Selection(len(scores), kept, threshold)
