"""Which probes were identified, and the tables, means and intervals that a protocol reports of them, in %."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

BOOTSTRAPS = 1000


@dataclass(frozen=True)
class Hits:
    """Hits of every probe in the gallery of every view.

    Attributes:
        kinds: walking condition of each probe, such as "nm".
        identities: whose walk each probe is.
        probe_views: view of each probe.
        gallery_views: the views of the columns of ``hits``.
        hits: for each measure, such as "rank1", [probes, gallery views] 1.0 for a hit, 0.0 for a miss, and NaN where a probe
            is not counted, such as where the views are identical.
    """

    kinds: np.ndarray
    identities: np.ndarray
    probe_views: np.ndarray
    gallery_views: np.ndarray
    hits: Mapping[str, np.ndarray]

    def table(self, kind: str, measure: str = "rank1") -> np.ndarray:
        """Hits in % for one condition: [probe views, gallery views], NaN where no probe is counted."""
        found, counted = self._cells(measure)
        of_kind = np.unique(self.kinds).tolist().index(kind)
        return _ratio(found.sum(0), counted.sum(0))[of_kind]

    def by_view(self, measure: str = "rank1") -> dict[str, Any]:
        """The tables of all conditions, in JSON's types.

        Returns:
            ``probe`` and ``gallery``, the names of the views, and ``<measure>``: for each condition its :meth:`table`,
            rounded to 0.01 %, with None where no probe is counted.
        """

        def rows(kind: str) -> list[list[float | None]]:
            return [[None if np.isnan(rate) else round(float(rate), 2) for rate in row] for row in self.table(kind, measure)]

        tables = {kind: rows(kind) for kind in np.unique(self.kinds).tolist()}
        return {"probe": np.unique(self.probe_views).tolist(), "gallery": self.gallery_views.tolist(), measure: tables}

    def summary(self, measure: str = "rank1") -> dict[str, float]:
        """``<measure>_<kind>`` and their mean ``<measure>_mean`` in %: mean over gallery views, then over probe views."""
        found, counted = (cells.sum(0, keepdims=True) for cells in self._cells(measure))
        means = self._means(measure, found, counted)
        return {metric: float(value[0]) for metric, value in means.items() if not np.isnan(value[0])}

    def interval(self, measure: str = "rank1", seed: int = 0) -> dict[str, float]:
        """95 % bootstrap intervals over probe identities: ``<metric>_low`` and ``<metric>_high`` for all of summary."""
        draws = self._draws(measure, seed)
        result: dict[str, float] = {}
        for metric in self.summary(measure):
            low, high = np.nanpercentile(draws[metric], [2.5, 97.5])
            result |= {f"{metric}_low": float(low), f"{metric}_high": float(high)}
        return result

    def gap(self, metric: str, other: str, measure: str = "rank1", seed: int = 0) -> tuple[float, float]:
        """95 % bootstrap interval of the difference between two metrics of the same people, in percentage points."""
        draws = self._draws(measure, seed)
        low, high = np.nanpercentile(draws[metric] - draws[other], [2.5, 97.5])
        return float(low), float(high)

    @cached_property
    def _people(self) -> tuple[np.ndarray, np.ndarray]:
        return np.unique(self.identities, return_inverse=True)

    def _cells(self, measure: str) -> tuple[np.ndarray, np.ndarray]:
        """Hits and probes counted: [people, kinds, probe views, gallery views]."""
        (kinds, kind), (views, view) = (np.unique(of, return_inverse=True) for of in (self.kinds, self.probe_views))
        people, person = self._people
        hits = self.hits[measure]
        shape = (len(people), len(kinds), len(views))
        cell = np.ravel_multi_index((person, kind, view), shape)

        def summed(columns: np.ndarray) -> np.ndarray:
            sums = [np.bincount(cell, column, minlength=int(np.prod(shape))) for column in columns.T]
            return np.stack(sums, -1).reshape(*shape, -1)

        return summed(np.nan_to_num(hits)), summed(~np.isnan(hits))

    def _means(self, measure: str, found: np.ndarray, counted: np.ndarray) -> dict[str, np.ndarray]:
        """The metrics of hits and counts [draws, kinds, probe views, gallery views]: [draws] each, NaN where no probe is."""
        kinds = _mean(_mean(_ratio(found, counted)))
        metrics = {f"{measure}_{kind}": kinds[:, place] for place, kind in enumerate(np.unique(self.kinds))}
        return metrics | {f"{measure}_mean": _mean(kinds)}

    def _draws(self, measure: str, seed: int) -> dict[str, np.ndarray]:
        """The metrics of as many people, drawn with replacement, again and again."""
        rng = np.random.default_rng(seed)
        found, counted = self._cells(measure)
        people = len(found)
        drawn = [np.bincount(rng.choice(people, people), minlength=people) for _ in range(BOOTSTRAPS)]
        weights = np.array(drawn, np.float64)
        sums = ((weights @ cells.reshape(people, -1)).reshape(-1, *cells.shape[1:]) for cells in (found, counted))
        return self._means(measure, *sums)


def _ratio(found: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """In %; NaN of nothing."""
    return 100 * np.divide(found, counted, out=np.full(found.shape, np.nan), where=counted > 0)


def _mean(values: np.ndarray) -> np.ndarray:
    """The mean along the last axis of what is no NaN; NaN of nothing."""
    counted = ~np.isnan(values)
    return _ratio(np.where(counted, values, 0).sum(-1), counted.sum(-1).astype(np.float64)) / 100
