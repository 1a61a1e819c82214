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
from gait.evaluation import open_set, reranking, retrieval
from gait.evaluation.blocks import Search
from gait.evaluation.hits import Hits
from gait.evaluation.positions import positions
from gait.evaluation.ranking import NOBODY
from gait.evaluation.search import closer_wrong
from gait.evaluation.signatures import Signatures

RANKS = (1, 5)
STRANGERS = 10_000  # probes that are enough to tell how well strangers are told from enrolled people


def reported(hits: Hits) -> dict[str, Any]:
    """The rates of the published measures that there are hits of, by their names, such as "rank1" and "mAP"; and "cmc", the
    mean rates of ranks 1 to 50, where there are hits of all these."""
    rates: dict[str, Any] = {measure: hits.rates(measure) for measure in retrieval.MEASURES if measure in hits.hits}
    return {**rates, "cmc": retrieval.cmc(hits)} if f"rank{retrieval.CURVE}" in hits.hits else rates


def without_conditions(rates: Mapping[str, Any]) -> dict[str, Any]:
    """Rates of measures without those of conditions, where all probes are of one."""
    return {name: {**rate, "conditions": {}} if isinstance(rate, dict) else rate for name, rate in rates.items()}


def together(parts: Mapping[str, Hits]) -> Hits:
    """The hits of several tests in one, each test under its name as the walking condition.

    A probe has a row for each test that it is part of. It is not counted in views that are in other tests' galleries only.

    Args:
        parts: hits of the same measures by the tests' names.
    """
    views = np.unique(np.concatenate([part.gallery_views for part in parts.values()]))

    def rows(part: Hits, measure: str) -> np.ndarray:
        whole = np.full((len(part.kinds), len(views)), np.nan)
        whole[:, np.searchsorted(views, part.gallery_views)] = part.hits[measure]
        return whole

    measures = next(iter(parts.values())).hits
    return Hits(
        np.repeat([*parts], [len(part.kinds) for part in parts.values()]),
        np.concatenate([part.identities for part in parts.values()]),
        np.concatenate([part.probe_views for part in parts.values()]),
        views,
        {measure: np.concatenate([rows(part, measure) for part in parts.values()]) for measure in measures},
    )


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
    values, search = _asked(signatures, sequences, gallery, probe, enrolled_views, own_view)
    closer = np.where(own_view, np.nan, closer_wrong(values, search, distance, threads))
    hits = {f"rank{rank}": np.where(own_view, np.nan, (closer != NOBODY) & (closer < rank)) for rank in RANKS}
    return hits_of(sequences, probe, views, np.unique(enrolled_views), hits)


def one_gallery(
    signatures: Signatures,
    sequences: Sequence[GaitSequence],
    gallery: Sequence[int],
    probe: Sequence[int],
    distance: Distance = "euclidean",
    threads: int = 1,
    other_views: bool = False,
    rerank: bool = False,
) -> Hits:
    """Look for every probe in the whole gallery, of all views.

    Args:
        signatures, sequences, gallery, probe, distance, threads: as of :func:`cross_view`.
        other_views: leave a probe's person out of the gallery of the probe's view, and nobody else (Hou et al., T-BIOM 2023,
            the cross-view gallery). The hits are then by the probe's view.
        rerank: by k-reciprocal neighbours (:mod:`gait.evaluation.reranking`); nobody is left out then.

    Returns:
        Hits of all measures of :func:`gait.evaluation.retrieval.measures`.

    Raises:
        DataError: gallery or probe is empty, a sequence has no signature or one that is not finite, or there is only one
            view and it is left out.
    """
    enrolled_views, views = facts_of(sequences, gallery, "view"), facts_of(sequences, probe, "view")
    if not other_views:
        enrolled_views, views = np.full(len(gallery), "all"), np.full(len(probe), "all")
    own_view = (views[:, None] == np.unique(enrolled_views)) & other_views
    values, search = _asked(signatures, sequences, gallery, probe, enrolled_views, own_view)
    if rerank:
        right = search.people[search.gallery] == search.people[search.probe, None]
        places = retrieval.positions_of(reranking.reranked(values, search.probe, search.gallery, distance), right)
    else:
        places = positions(values, search, distance, threads, pooled=True)
    return hits_of(sequences, probe, views, np.array(["others" if other_views else "all"]), retrieval.measures(places))


def strangers(
    signatures: Signatures,
    sequences: Sequence[GaitSequence],
    gallery: Sequence[int],
    probe: Sequence[int],
    distance: Distance = "euclidean",
    threads: int = 1,
    other_views: bool = False,
) -> dict[str, Any] | None:
    """How well a threshold tells enrolled people from others: :func:`gait.evaluation.open_set.rates`.

    The arguments are those of :func:`one_gallery`; ``other_views`` leaves out everybody's walks in the probe's view. Of more
    than 10,000 probes, it takes those of as many people, drawn at random, as together have no more.
    """
    probe = _of_some_people(sequences, probe)
    enrolled_views, views = facts_of(sequences, gallery, "view"), facts_of(sequences, probe, "view")
    own_view = (views[:, None] == np.unique(enrolled_views)) & other_views
    values, search = _asked(signatures, sequences, gallery, probe, enrolled_views, own_view)
    return open_set.rates(open_set.trials(values, search, distance, threads))


def _of_some_people(sequences: Sequence[GaitSequence], probe: Sequence[int]) -> Sequence[int]:
    """The probes of people drawn at random, no more than STRANGERS; all if they are no more."""
    if len(probe) <= STRANGERS:
        return probe
    names, whose, counts = np.unique(facts_of(sequences, probe, "identity"), return_inverse=True, return_counts=True)
    drawn = np.random.default_rng(0).permutation(len(names))
    kept = drawn[np.cumsum(counts[drawn]) <= STRANGERS]
    return np.asarray(probe)[np.isin(whose, kept)].tolist()


def _asked(
    signatures: Signatures,
    sequences: Sequence[GaitSequence],
    gallery: Sequence[int],
    probe: Sequence[int],
    groups: np.ndarray,
    excluded: np.ndarray,
) -> tuple[np.ndarray, Search]:
    """Averaged signatures, and the search of the probes in these groups of the gallery."""
    averaged = signatures.averaged()
    check_signatures(averaged, gallery, probe)
    if excluded.all():
        raise DataError("nothing to evaluate: identical views are excluded and there is only one view")
    row_of = {position: row for row, position in enumerate(averaged.positions.tolist())}
    people = np.unique(facts_of(sequences, averaged.positions.tolist(), "identity"), return_inverse=True)[1]
    probe_rows, gallery_rows = (np.array([row_of[position] for position in side]) for side in (probe, gallery))
    return averaged.values, Search(
        probe_rows, gallery_rows, people, np.unique(groups, return_inverse=True)[1], excluded, RANKS
    )


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
