"""Comparisons of probes with the gallery: from signatures to hits.

Samples of a sequence are averaged first. Signatures are then compared as the network gives them, or scaled to length 1 if
the distance is the cosine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gait.data.prepared.sequences import Sequence as GaitSequence
from gait.data.prepared.sets import Distance
from gait.errors import DataError
from gait.evaluation.hits import Hits
from gait.evaluation.ranking import NOBODY, Search
from gait.evaluation.search import closer_wrong
from gait.evaluation.signatures import Signatures

RANKS = (1, 5)


def ranks(hits: Hits) -> dict[str, Any]:
    """The rates of all ranks, by their names, such as "rank1"."""
    return {f"rank{rank}": hits.rates(f"rank{rank}") for rank in RANKS}


def cross_view(
    signatures: Signatures,
    sequences: Sequence[GaitSequence],
    gallery: Sequence[int],
    probe: Sequence[int],
    distance: Distance = "euclidean",
    threads: int = 1,
) -> Hits:
    """Look for every probe in the gallery of every view but its own.

    Args:
        signatures: at least one for each position in ``gallery`` and ``probe``.
        sequences: all sequences of the store.
        gallery: positions of the enrolled sequences.
        probe: positions of the sequences to identify.
        distance: between two sequences: the mean over parts of the Euclidean distance, or 1 minus the mean cosine.
        threads: the number of threads.

    Returns:
        Hits "rank1" and "rank5". A probe counts as a miss where its identity is not enrolled in the gallery's view.

    Raises:
        DataError: gallery or probe is empty, a sequence has no signature or one that is not finite, or no cell remains:
            there is only one view.
    """
    enrolled_views, views = facts_of(sequences, gallery, "view"), facts_of(sequences, probe, "view")
    own_view = views[:, None] == np.unique(enrolled_views)
    closer = _closer(signatures, sequences, gallery, probe, enrolled_views, own_view, distance, threads)
    return hits_of(sequences, probe, views, np.unique(enrolled_views), {f"rank{rank}": _hit(closer, rank) for rank in RANKS})


def all_views(
    signatures: Signatures,
    sequences: Sequence[GaitSequence],
    gallery: Sequence[int],
    probe: Sequence[int],
    distance: Distance = "euclidean",
    threads: int = 1,
) -> Hits:
    """Look for every probe in the whole gallery, of all views: like :func:`cross_view` with one view, "all"."""
    anywhere = np.full(len(gallery), "all")
    nowhere = np.zeros((len(probe), 1), bool)
    closer = _closer(signatures, sequences, gallery, probe, anywhere, nowhere, distance, threads)
    hits = {f"rank{rank}": _hit(closer, rank) for rank in RANKS}
    return hits_of(sequences, probe, np.full(len(probe), "all"), np.unique(anywhere), hits)


def _closer(
    signatures: Signatures,
    sequences: Sequence[GaitSequence],
    gallery: Sequence[int],
    probe: Sequence[int],
    groups: np.ndarray,
    excluded: np.ndarray,
    distance: Distance,
    threads: int,
) -> np.ndarray:
    """How many wrong sequences are closer than the right one, [probes, groups of the gallery]; NaN where excluded."""
    averaged = signatures.averaged()
    check_signatures(averaged, gallery, probe)
    if excluded.all():
        raise DataError("nothing to evaluate: identical views are excluded and there is only one view")
    row_of = {position: row for row, position in enumerate(averaged.positions.tolist())}
    people = np.unique(facts_of(sequences, averaged.positions.tolist(), "identity"), return_inverse=True)[1]
    probe_rows, gallery_rows = (np.array([row_of[position] for position in side]) for side in (probe, gallery))
    search = Search(probe_rows, gallery_rows, people, np.unique(groups, return_inverse=True)[1], excluded, RANKS)
    return np.where(excluded, np.nan, closer_wrong(averaged.values, search, distance, threads))


def check_signatures(signatures: Signatures, gallery: Sequence[int], probe: Sequence[int]) -> None:
    """Check that gallery and probe have sequences, and that all these have signatures.

    Raises:
        DataError: gallery or probe is empty, or a sequence has no signature.
    """
    if not gallery or not probe:
        raise DataError("nothing to evaluate: the test identities have no gallery or no probe sequences")
    missing = {*gallery, *probe} - set(signatures.positions.tolist())
    if missing:
        raise DataError(f"{len(missing)} sequences to evaluate have no signature, such as that at {min(missing)}")


def _hit(closer: np.ndarray, rank: int) -> np.ndarray:
    return np.where(np.isnan(closer), np.nan, (closer != NOBODY) & (closer < rank))


def hits_of(
    sequences: Sequence[GaitSequence],
    probe: Sequence[int],
    views: np.ndarray,
    gallery_views: np.ndarray,
    hits: Mapping[str, np.ndarray],
) -> Hits:
    """Hits with the condition and the person of each probe.

    Args:
        sequences: all sequences of the store.
        probe: positions of the probes.
        views: the view of each probe.
        gallery_views: the columns of ``hits``.
        hits: for each measure [probes, gallery views], as :class:`gait.evaluation.hits.Hits` has them.
    """
    return Hits(facts_of(sequences, probe, "kind"), facts_of(sequences, probe, "identity"), views, gallery_views, hits)


def facts_of(sequences: Sequence[GaitSequence], positions: Sequence[int], fact: str) -> np.ndarray:
    """One fact of the sequences at these positions, such as "view"."""
    return np.array([getattr(sequences[position], fact) for position in positions])
