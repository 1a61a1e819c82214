"""The probes that were identified, and the tables, means and intervals that a protocol reports about them, in %."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from gait.evaluation import intervals
from gait.people import ByPerson, mean_rates, ratio


@dataclass(frozen=True)
class Hits:
    """Hits of every probe in the gallery of every view.

    Attributes:
        kinds: walking condition of each probe, such as "nm".
        identities: the person of each probe.
        probe_views: view of each probe.
        gallery_views: the view of each column of ``hits``.
        hits: for each measure, such as "rank1", [probes, gallery views]: 1.0 for a hit, 0.0 for a miss, NaN where a probe is
            not counted, such as where the views are identical.
        overlapping: where a probe may be of several walking conditions at once, such as "bg" and "nt": for each condition
            the places of its probes. Tables and rates of conditions are of these then; means stay those over ``kinds``.
    """

    kinds: np.ndarray
    identities: np.ndarray
    probe_views: np.ndarray
    gallery_views: np.ndarray
    hits: Mapping[str, np.ndarray]
    overlapping: Mapping[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def of_conditions(self) -> Hits:
        """The hits with a row for each condition of each probe, and that condition in the place of the kind."""
        if not self.overlapping:
            return self
        rows = np.concatenate([*self.overlapping.values()]).astype(np.int64)
        kinds = np.repeat([*self.overlapping], [len(places) for places in self.overlapping.values()])
        hits = {measure: of_probes[rows] for measure, of_probes in self.hits.items()}
        return Hits(kinds, self.identities[rows], self.probe_views[rows], self.gallery_views, hits)

    def table(self, kind: str, measure: str = "rank1") -> np.ndarray:
        """Hits in % for one condition: [probe views, gallery views], NaN where no probe is counted."""
        hits, counted = self.of_conditions._cells(measure)
        place = np.unique(self.of_conditions.kinds).tolist().index(kind)
        return ratio(hits.sum(0), counted.sum(0))[place]

    def by_view(self, measure: str = "rank1") -> dict[str, Any]:
        """The tables of all conditions, in JSON's types.

        Returns:
            ``probe`` and ``gallery``, the names of the views, and ``<measure>``, the :meth:`table` of each condition,
            rounded to 0.01 %, with None where no probe is counted.
        """

        def rows(kind: str) -> list[list[float | None]]:
            return [[None if np.isnan(rate) else round(float(rate), 2) for rate in row] for row in self.table(kind, measure)]

        tables = {kind: rows(kind) for kind in np.unique(self.of_conditions.kinds).tolist()}
        views = np.unique(self.of_conditions.probe_views).tolist()
        return {"probe": views, "gallery": self.gallery_views.tolist(), measure: tables}

    def rates(self, measure: str = "rank1") -> dict[str, Any]:
        """The rates of one measure in %: means over gallery views, then over probe views, then over conditions.

        Returns:
            In JSON's types: ``mean``, its 95 % ``interval`` (:mod:`gait.evaluation.intervals`; None for fewer than two
            people), the counted ``people`` and ``probes``; and ``conditions``, with the ``rate`` and the same three of each
            condition. A condition without a counted probe is left out.
        """
        mean = self._figures(measure, np.ones(len(np.unique(self.kinds)), bool))
        apart = self.of_conditions
        kinds = np.unique(apart.kinds)
        conditions = {kind: apart._figures(measure, kinds == kind) for kind in kinds.tolist()}
        return {
            "mean": mean.pop("rate"),
            **mean,
            "conditions": {kind: figures for kind, figures in conditions.items() if figures["probes"]},
        }

    def by_person(self, measure: str = "rank1") -> ByPerson:
        """What the mean of one measure follows from, person by person, without people of whom no probe is counted."""
        hits, counted = self._cells(measure)
        tested = counted.any((1, 2, 3))
        numbers = (cells[tested].astype(np.int64) for cells in (hits, counted))
        return ByPerson.of(self._people[0][tested].tolist(), *numbers)

    def gap(self, condition: str, other: str, measure: str = "rank1") -> tuple[float, float]:
        """Student's 95 % interval, over people, of one condition's rate minus another's, in percentage points."""
        apart = self.of_conditions
        kinds = np.unique(apart.kinds)
        (first, without_first), (second, without_second) = (
            apart._rate(measure, kinds == kind) for kind in (condition, other)
        )
        differences = without_first - without_second
        return intervals.student(first - second, differences[~np.isnan(differences)])

    def _figures(self, measure: str, kinds: np.ndarray) -> dict[str, Any]:
        """The rate of the chosen conditions together, its interval, and the numbers of counted people and probes."""
        rate, without = self._rate(measure, kinds)
        counted = ~np.isnan(self.hits[measure]).all(1) & np.isin(self.kinds, np.unique(self.kinds)[kinds])
        people = np.unique(self.identities[counted])
        is_counted = np.isin(self._people[0], people)
        interval = intervals.of_rate(rate, without[is_counted], int(counted.sum())) if counted.any() else None
        return {
            "rate": rate if counted.any() else None,
            "interval": None if interval is None else list(interval),
            "people": len(people),
            "probes": int(counted.sum()),
        }

    def _rate(self, measure: str, kinds: np.ndarray) -> tuple[float, np.ndarray]:
        """The rate of the chosen conditions together in %, and [people] the rate without each person in turn."""
        by_person = tuple(cells[:, kinds] for cells in self._cells(measure))  # hits, and counted probes
        everybody = [cells.sum(0, keepdims=True) for cells in by_person]
        without = (total - cells for total, cells in zip(everybody, by_person, strict=True))
        (rate,), rates_without = (mean_rates(*cells) for cells in (everybody, tuple(without)))
        return float(rate), rates_without

    @cached_property
    def _people(self) -> tuple[np.ndarray, np.ndarray]:
        return np.unique(self.identities, return_inverse=True)

    def _cells(self, measure: str) -> tuple[np.ndarray, np.ndarray]:
        """Hits and counted probes, each [people, kinds, probe views, gallery views]."""
        (kinds, kind), (views, view) = (np.unique(names, return_inverse=True) for names in (self.kinds, self.probe_views))
        people, person = self._people
        hits = self.hits[measure]
        shape = (len(people), len(kinds), len(views))
        cell = np.ravel_multi_index((person, kind, view), shape)

        def summed(columns: np.ndarray) -> np.ndarray:
            sums = [np.bincount(cell, column, minlength=int(np.prod(shape))) for column in columns.T]
            return np.stack(sums, -1).reshape(*shape, -1)

        return summed(np.nan_to_num(hits)), summed(~np.isnan(hits))
