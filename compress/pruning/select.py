"""The choice of the filters that stay: percentiles, rounding and exemptions, for both frameworks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from compress.errors import CompressionError
from compress.pruning.criteria import MEASURED, Measured, flat, layer_scores, needs, needs_data

Kernels = Mapping[str, Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class PruneSettings:
    """How much pruning removes, and by which measure; the names are those of params.yaml.

    Attributes:
        percentile: filters that score strictly below this percentile of the scores go; 0 removes none.
        criterion: computes the scores: the name of a file in compress/pruning/criteria.
        scope: "layer", a threshold for each layer's own scores, or "global", one threshold for the :func:`importances` of
            all layers.
        round_to: the number of filters that stay in a pruned layer is rounded to the nearest multiple of this, but not to 0.
        keep_min: the fewest filters that a layer keeps, unless it had fewer.
        mode: "percentile", which uses all of the above; "published", :func:`select_as_published`, which uses the
            percentile alone; or "latency", which uses the criterion and ``widths``.
        spare: names of layers to leave whole, or patterns of them (fnmatch); all modes use it.
        seed: the seed for criteria that draw at random.
        widths: in mode "latency", gives the number of filters that each layer keeps, from the :func:`importances` of its
            filters.
    """

    percentile: float
    criterion: str
    scope: str
    round_to: int
    keep_min: int
    mode: str = "percentile"
    spare: Sequence[str] = ()
    seed: int = 0
    widths: Callable[[Mapping[str, np.ndarray]], Mapping[str, int]] | None = None

    @property
    def measures(self) -> tuple[str, ...]:
        """What must be measured of a network besides its weights: some of the quantities that criteria take."""
        if self.mode == "published":
            return ()
        return tuple(quantity for quantity in needs(self.criterion) if quantity in MEASURED)

    @property
    def measures_data(self) -> bool:
        """Whether that needs training batches."""
        return self.mode != "published" and needs_data(self.criterion)


@dataclass(frozen=True)
class Selection:
    """The filters of a layer that stay; all its units lose the same filters.

    Attributes:
        filters: the number of filters before pruning (in each unit).
        kept: positions of the filters that stay, ascending.
        threshold: the score below which filters go, before rounding; None in a layer that was spared. In mode "latency" it
            is an importance.
        units: the convolutions that have these filters: one, unless sums or shared readers tie several.
    """

    filters: int
    kept: np.ndarray
    threshold: float | None
    units: tuple[str, ...]

    @property
    def spared(self) -> bool:
        return self.threshold is None


def select(kernels: Kernels, settings: PruneSettings, measured: Measured | None = None) -> dict[str, Selection]:
    """The filters that stay.

    A layer is spared if a pattern matches the name of one of its units. The percentile leaves out scores of spared layers.

    Args:
        kernels: of each convolution, [filters, ...], by layer and by the layer's units, which lose their filters together.
        settings: how much to remove, and by which criterion.
        measured: what ``settings.measures`` names, for all layers that are not spared.

    Returns:
        The selections by layer, in the order of ``kernels``.

    Raises:
        CompressionError: there is nothing to prune, a weight is not finite, there is no such criterion, or its scores
            are not finite.
    """
    if not kernels:
        raise CompressionError("the model has no prunable layer")
    for units in kernels.values():
        for unit, kernel in units.items():
            if not np.isfinite(kernel).all():
                raise CompressionError(f"layer {unit}: its weights are not finite; train it again with a lower lr")
    pruned = {name: units for name, units in kernels.items() if not is_spared(units, settings.spare)}
    if settings.mode == "published":
        chosen = select_as_published(pruned, settings.percentile)
    elif settings.widths is not None:
        by_layer = importances(pruned, settings, measured)
        widths = settings.widths(by_layer)
        chosen = {name: _best(scores, widths[name], None, tuple(pruned[name])) for name, scores in by_layer.items()}
    else:
        chosen = _select_by_percentile(pruned, settings, measured)
    return {name: chosen.get(name) or _whole(units) for name, units in kernels.items()}


def is_spared(units: Iterable[str], patterns: Sequence[str]) -> bool:
    """Whether a layer of these units stays whole; ``patterns`` are those of ``PruneSettings.spare``."""
    return any(fnmatchcase(unit, pattern) for unit in units for pattern in patterns)


def importances(kernels: Kernels, settings: PruneSettings, measured: Measured | None = None) -> dict[str, np.ndarray]:
    """The worth of each filter, comparable between layers: its score divided by the root mean square of its layer's scores.

    A criterion's scores may grow with a layer's kernels, maps or distance to the loss; the division keeps it from putting a
    whole layer below the others. Molchanov et al. (ICLR 2017, section 2.2) divide by the layer's L2 norm. That differs by
    the root of the number of filters, which makes the scores of wide layers small and empties them first: docs/pruning.md
    has the counts.

    Args:
        kernels: as for :func:`select`.
        settings: the criterion and its seed.
        measured: what ``settings.measures`` names, for these layers.

    Returns:
        [filters], float64, by layer; 0 in a layer whose scores are all 0.

    Raises:
        CompressionError: there is no such criterion, or its scores are not finite.
    """
    return {name: _relative(scores) for name, scores in _scores(kernels, settings, measured).items()}


def select_as_published(kernels: Kernels, percentile: float) -> dict[str, Selection]:
    """The study's own algorithm, exact to the filter (Ruiz-Barroso et al., SUSCOM 36 (2022) 100814, filter pruning).

    The score of a filter is the plain sum of its |w|; the threshold is the percentile, with linear interpolation, of the
    scores of all convolutions together. Scores come from the trained weights and are computed once. In each layer the
    filters strictly below the threshold go, from the last to the first, as long as the layer has more than one: a layer
    that lies below as a whole keeps its first filter, whatever its score. So all filters below the threshold go, except one
    in each such layer; layers with small kernels are the first to shrink to one filter.

    The 2D-CNN and the 3D-CNN tie no filters, so they need no more than this. GaitSet's sums tie frame4 to global2 and frame6
    to global4; how the study kept those in step is not known. Here the threshold is the study's, over each unit's own sums
    (832 in all), and tied filters go from all units when the mean of their sums is below it. Counted in every unit, as many
    go as in the study while no tied unit reaches below the threshold: at 10 %, 83. The count differs by the pairs that have
    one half above the threshold and one below.

    Args:
        kernels: as for :func:`select`.
        percentile: 0 to less than 100.

    Returns:
        The selections by layer.
    """
    sums = {name: np.stack([np.abs(flat(kernel)).sum(1) for kernel in units.values()]) for name, units in kernels.items()}
    threshold = _percentile((unit_sums.ravel() for unit_sums in sums.values()), percentile)
    selections = {}
    for name, unit_sums in sums.items():
        kept = np.flatnonzero(unit_sums.mean(0) >= threshold)
        kept = kept if len(kept) else np.array([0])
        selections[name] = Selection(unit_sums.shape[1], kept, threshold, tuple(kernels[name]))
    return selections


def _select_by_percentile(kernels: Kernels, settings: PruneSettings, measured: Measured | None) -> dict[str, Selection]:
    by_layer = (_scores if settings.scope == "layer" else importances)(kernels, settings, measured)
    overall = _percentile(by_layer.values(), settings.percentile)
    return {name: _select_layer(scores, overall, settings, tuple(kernels[name])) for name, scores in by_layer.items()}


def _scores(kernels: Kernels, settings: PruneSettings, measured: Measured | None) -> dict[str, np.ndarray]:
    return {name: layer_scores(name, units, settings.criterion, settings.seed, measured) for name, units in kernels.items()}


def _relative(scores: np.ndarray) -> np.ndarray:
    greatest = np.abs(scores).max()
    if greatest == 0:
        return scores
    scaled = scores / greatest  # so that equal scores have exactly their own mean, and no square overflows
    relative: np.ndarray = scaled / np.sqrt(np.square(scaled).mean())
    return relative


def _select_layer(scores: np.ndarray, overall: float, settings: PruneSettings, units: tuple[str, ...]) -> Selection:
    threshold = _percentile([scores], settings.percentile) if settings.scope == "layer" else overall
    wanted = int((scores >= threshold).sum())
    if wanted < len(scores):
        multiples = max(round(wanted / settings.round_to), 1)
        wanted = min(max(multiples * settings.round_to, settings.keep_min), len(scores))
    return _best(scores, wanted, threshold, units)


def _best(scores: np.ndarray, wanted: int, threshold: float | None, units: tuple[str, ...]) -> Selection:
    # A stable sort makes equal scores fall in the same order on every machine.
    kept = np.sort(np.argsort(-scores, kind="stable")[:wanted])
    return Selection(len(scores), kept, float(scores[kept].min()) if threshold is None else threshold, units)


def _percentile(scores: Iterable[np.ndarray], percentile: float) -> float:
    together = np.concatenate([np.empty(0), *scores])
    return float(np.percentile(together, percentile)) if len(together) else 0.0


def _whole(units: Mapping[str, np.ndarray]) -> Selection:
    filters = len(next(iter(units.values())))
    return Selection(filters, np.arange(filters), None, tuple(units))
