"""CASIA-B's protocol: rank-1 identification across views (Yu et al., ICPR 2006; cells as in GaitSet, section 4.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gait.data.sequences import Sequence as GaitSequence
from gait.errors import DataError

BOOTSTRAPS = 1000


def normalised(signatures: np.ndarray) -> np.ndarray:
    """Signatures [..., channels] scaled to length 1 along the channels; zero vectors stay zero."""
    lengths = np.linalg.norm(signatures, axis=-1, keepdims=True)
    return signatures / np.where(lengths > 0, lengths, 1)


def distances(probes: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    """Mean over parts of the Euclidean distance: [p, parts, c] and [g, parts, c] -> [p, g]."""
    total = np.zeros((len(probes), len(gallery)), np.float64)
    for part in range(probes.shape[1]):
        ours, theirs = probes[:, part].astype(np.float64), gallery[:, part].astype(np.float64)
        squared = (ours**2).sum(1)[:, None] + (theirs**2).sum(1)[None, :] - 2 * ours @ theirs.T
        total += np.sqrt(np.maximum(squared, 0))
    return total / probes.shape[1]


@dataclass(frozen=True)
class Rank1:
    """Hits of every probe against the gallery of every other view.

    Attributes:
        kinds: walking condition of each probe, such as "nm".
        identities: whose walk each probe is.
        probe_views: view of each probe.
        gallery_views: the views of the columns of ``hits``.
        hits: [probes, gallery views] 1.0 if the nearest gallery sequence of that view is the same person, 0.0 if not,
            NaN where the cell is excluded because the views are identical.
    """

    kinds: np.ndarray
    identities: np.ndarray
    probe_views: np.ndarray
    gallery_views: np.ndarray
    hits: np.ndarray

    def table(self, kind: str, of: np.ndarray | None = None) -> np.ndarray:
        """Rank-1 in % for one condition: [probe views, gallery views], NaN where excluded or without a probe.

        Args:
            kind: walking condition.
            of: positions of the probes to count, with repetitions; all by default.
        """
        rows = np.arange(len(self.kinds)) if of is None else of
        rows = rows[self.kinds[rows] == kind]
        views = np.unique(self.probe_views)
        cells = np.full((len(views), len(self.gallery_views)), np.nan)
        for row, view in enumerate(views):
            of_view = self.hits[rows[self.probe_views[rows] == view]]
            if len(of_view):
                cells[row] = 100 * of_view.mean(0)
        return cells

    def summary(self, of: np.ndarray | None = None) -> dict[str, float]:
        """``rank1_<kind>`` and their mean ``rank1_mean`` in %: mean over gallery views, then over probe views."""
        result = {}
        for kind in np.unique(self.kinds):
            cells = self.table(kind, of)
            cells = cells[~np.isnan(cells).all(1)]
            if len(cells):
                result[f"rank1_{kind}"] = float(np.nanmean(cells, 1).mean())
        result["rank1_mean"] = float(np.mean(list(result.values())))
        return result

    def interval(self, seed: int = 0) -> dict[str, float]:
        """95 % bootstrap intervals over probe identities: ``<metric>_low`` and ``<metric>_high`` for all of summary."""
        draws = self._draws(seed)
        result: dict[str, float] = {}
        for metric in self.summary():
            low, high = np.percentile([draw[metric] for draw in draws if metric in draw], [2.5, 97.5])
            result |= {f"{metric}_low": float(low), f"{metric}_high": float(high)}
        return result

    def gap(self, metric: str, other: str, seed: int = 0) -> tuple[float, float]:
        """95 % bootstrap interval of the difference between two metrics of the same people, in percentage points."""
        draws = self._draws(seed)
        low, high = np.percentile([draw[metric] - draw[other] for draw in draws], [2.5, 97.5])
        return float(low), float(high)

    def _draws(self, seed: int) -> list[dict[str, float]]:
        """The summary of as many people, drawn with replacement, again and again."""
        rng = np.random.default_rng(seed)
        people = np.unique(self.identities)
        own = {person: np.flatnonzero(self.identities == person) for person in people}
        return [
            self.summary(np.concatenate([own[person] for person in rng.choice(people, len(people))]))
            for _ in range(BOOTSTRAPS)
        ]


def casia_b(
    signatures: Mapping[int, np.ndarray],
    sequences: Sequence[GaitSequence],
    gallery: Sequence[int],
    probe: Sequence[int],
) -> Rank1:
    """Find the nearest gallery sequence of every view for every probe.

    Args:
        signatures: [parts, channels] of each position in ``gallery`` and ``probe``.
        sequences: all sequences of the store.
        gallery: positions of the enrolled sequences (nm-01 to nm-04).
        probe: positions of the sequences to identify.

    Raises:
        DataError: gallery or probe is empty, or there is only one view, so that no cell remains.
    """
    if not gallery or not probe:
        raise DataError("nothing to evaluate: the test identities have no gallery or no probe sequences")
    probes, enrolments = (np.stack([signatures[position] for position in which]) for which in (probe, gallery))
    between = distances(normalised(probes), normalised(enrolments))
    enrolled_views = np.array([sequences[position].view for position in gallery])
    enrolled = np.array([sequences[position].identity for position in gallery])
    views = np.array([sequences[position].view for position in probe])
    people = np.array([sequences[position].identity for position in probe])
    gallery_views = np.unique(enrolled_views)
    hits = np.full((len(probe), len(gallery_views)), np.nan)
    for column, view in enumerate(gallery_views):
        candidates = np.flatnonzero(enrolled_views == view)
        nearest = enrolled[candidates[between[:, candidates].argmin(1)]]
        hits[:, column] = np.where(views == view, np.nan, nearest == people)
    if np.isnan(hits).all():
        raise DataError("nothing to evaluate: identical views are excluded and there is only one view")
    kinds = np.array([sequences[position].kind for position in probe])
    return Rank1(kinds, people, views, gallery_views, hits)


def evaluate(
    signatures: Mapping[int, np.ndarray],
    sequences: Sequence[GaitSequence],
    gallery: Sequence[int],
    probe: Sequence[int],
) -> dict[str, float]:
    """Rank-1 of each walking condition and their mean, in %, with 95 % intervals, and the number of probes."""
    result = casia_b(signatures, sequences, gallery, probe)
    return {**result.summary(), **result.interval(), "probes": len(result.kinds)}
