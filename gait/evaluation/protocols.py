"""The datasets' protocols: from signatures of gallery and probe sequences to the rates that papers report.

CASIA-B: rank-r across views, identical views excluded (Yu et al., ICPR 2006; cells of Chao et al., AAAI 2019, section 4.2).
OU-MVLP: the same with 14 views (Takemura et al., IPSJ 2018), with and without the probes that nobody enrolled.
TUM-GAID: by the nearest sequence, and by the votes of nearest samples, as optical-flow networks are published.

Signatures are compared as the network gives them, or scaled to length 1 if the distance is the cosine. The samples of a
sequence are averaged before that; votes are of samples, each scaled by itself, and average nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gait.data.prepared.sequences import Sequence as GaitSequence
from gait.data.prepared.sets import Distance, TestSet
from gait.errors import DataError
from gait.evaluation import neighbours
from gait.evaluation.hits import Hits
from gait.evaluation.ranking import NOBODY, Search
from gait.evaluation.search import closer_wrong
from gait.evaluation.signatures import Signatures

RANKS = (1, 5)


def evaluate(
    signatures: Signatures,
    sequences: Sequence[GaitSequence],
    test: TestSet,
    threads: int = 1,
) -> dict[str, Any]:
    """The rates of a test's protocol, in %.

    Args:
        signatures: of all sequences in ``test``, as the network gave them; they are left as they are.
        sequences: all sequences of the store.
        test: who is looked for among whom, by which protocol and which distance.
        threads: how many; the rates are the same.

    Returns:
        In JSON's types. ``rank1`` and ``rank5``: each as :meth:`gait.evaluation.hits.Hits.rates` has them, with rates of
        conditions under ``conditions``, so that no condition's name can be taken for another figure. ``probes``: how many
        were looked for. Of OU-MVLP these count probes whose identity is enrolled in the gallery view;
        ``all_probes`` has ``rank1`` and ``rank5`` with the others as misses, and ``probes_without_gallery`` is how many lack
        a gallery sequence in any other view. Of TUM-GAID also ``knn7`` and, if the walks recorded months later are there,
        ``temporal``, with the ``rank1``, ``rank5`` and ``knn7`` of those.

    Raises:
        DataError: gallery or probe is empty, a sequence has no signature, one is not finite, or there is only one view
            and identical views are excluded.
    """
    found = identified(signatures, sequences, test, threads)
    return rates(found, signatures, sequences, test, threads)


def identified(
    signatures: Signatures,
    sequences: Sequence[GaitSequence],
    test: TestSet,
    threads: int = 1,
) -> Hits:
    """Which probes the test's protocol identifies, in which views; arguments and errors as of :func:`evaluate`."""
    protocol = {"casia-b": casia_b, "cross-view": casia_b, "oumvlp": oumvlp, "tum-gaid": all_views, "all-views": all_views}
    return protocol[test.protocol](signatures, sequences, test.gallery, test.probe, test.distance, threads)


def rates(
    found: Hits,
    signatures: Signatures,
    sequences: Sequence[GaitSequence],
    test: TestSet,
    threads: int = 1,
) -> dict[str, Any]:
    """What :func:`evaluate` returns, of what :func:`identified` found."""
    measures = [f"rank{rank}" for rank in RANKS]
    result: dict[str, Any] = {measure: found.rates(measure) for measure in measures}
    if test.protocol == "oumvlp":  # all its probes are of one condition
        result["all_probes"] = {measure: found.rates(f"{measure}_all_probes") for measure in measures}
        for rates_of_one in (*(result[measure] for measure in measures), *result["all_probes"].values()):
            rates_of_one["conditions"] = {}
        lacking = np.isnan(found.hits["rank1"]) & ~np.isnan(found.hits["rank1_all_probes"])
        result["probes_without_gallery"] = int(lacking.any(1).sum())
    if test.protocol == "tum-gaid":
        result["knn7"] = votes(signatures, sequences, test.gallery, test.probe, test.distance).rates("knn7")
        if test.temporal_gallery and test.temporal_probe:
            later = signatures, sequences, test.temporal_gallery, test.temporal_probe, test.distance
            anew = all_views(*later, threads)
            result["temporal"] = {measure: anew.rates(measure) for measure in measures} | {
                "knn7": votes(*later).rates("knn7")
            }
    return {**result, "probes": len(test.probe)}


def casia_b(
    signatures: Signatures,
    sequences: Sequence[GaitSequence],
    gallery: Sequence[int],
    probe: Sequence[int],
    distance: Distance = "euclidean",
    threads: int = 1,
) -> Hits:
    """Look for every probe in the gallery of every view but its own.

    Args:
        signatures: of each position in ``gallery`` and ``probe``; the samples of a sequence are averaged.
        sequences: all sequences of the store.
        gallery: positions of the enrolled sequences (nm-01 to nm-04).
        probe: positions of the sequences to identify.
        distance: between two sequences: the mean over parts of the Euclidean distance, or 1 minus the mean cosine.
        threads: how many.

    Returns:
        Hits "rank1" and "rank5". A probe counts as a miss where its identity is not enrolled in the gallery's view.

    Raises:
        DataError: gallery or probe is empty, a sequence has no signature or one that is not finite, or no cell remains:
            there is only one view.
    """
    enrolled_views, views = _names(sequences, gallery, "view"), _names(sequences, probe, "view")
    own_view = views[:, None] == np.unique(enrolled_views)
    closer = _closer(signatures, sequences, gallery, probe, enrolled_views, own_view, distance, threads)
    return _hits(sequences, probe, views, np.unique(enrolled_views), {f"rank{rank}": _hit(closer, rank) for rank in RANKS})


def oumvlp(
    signatures: Signatures,
    sequences: Sequence[GaitSequence],
    gallery: Sequence[int],
    probe: Sequence[int],
    distance: Distance = "euclidean",
    threads: int = 1,
) -> Hits:
    """As :func:`casia_b`, with probes that nobody enrolled.

    Returns:
        Hits "rank1" and "rank5", where a probe is not counted in views in whose gallery its identity is not, and
        "rank1_all_probes" and "rank5_all_probes", where it is a miss.

    Raises:
        DataError: as for casia_b, or no probe's identity is enrolled in another view.
    """
    everyone = casia_b(signatures, sequences, gallery, probe, distance, threads)
    enrolled = {(sequences[position].identity, sequences[position].view) for position in gallery}
    whose = zip(everyone.identities, everyone.probe_views, strict=True)
    there = np.array([[(identity, view) in enrolled for view in everyone.gallery_views] for identity, _ in whose])
    hits = {measure: np.where(there, rates, np.nan) for measure, rates in everyone.hits.items()}
    if np.isnan(hits["rank1"]).all():
        raise DataError("nothing to evaluate: no probe's identity has a gallery sequence in another view")
    hits |= {f"{measure}_all_probes": rates for measure, rates in everyone.hits.items()}
    return replace(everyone, hits=hits)


def all_views(
    signatures: Signatures,
    sequences: Sequence[GaitSequence],
    gallery: Sequence[int],
    probe: Sequence[int],
    distance: Distance = "euclidean",
    threads: int = 1,
) -> Hits:
    """Look for every probe in the whole gallery, whatever the views: as :func:`casia_b` with one view, "all"."""
    anywhere = np.full(len(gallery), "all")
    nowhere = np.zeros((len(probe), 1), bool)
    closer = _closer(signatures, sequences, gallery, probe, anywhere, nowhere, distance, threads)
    hits = {f"rank{rank}": _hit(closer, rank) for rank in RANKS}
    return _hits(sequences, probe, np.full(len(probe), "all"), np.unique(anywhere), hits)


def votes(
    signatures: Signatures,
    sequences: Sequence[GaitSequence],
    gallery: Sequence[int],
    probe: Sequence[int],
    distance: Distance = "cosine",
) -> Hits:
    """TUM-GAID's vote: of the 7 gallery samples nearest to every sample of a probe, then of all samples of the probe.

    Published for optical flow: the nearest by the Euclidean distance of samples of length 1 (Ruiz-Barroso et al., SUSCOM
    2022), which are those of the greatest cosine.

    Args:
        signatures: samples of each position in ``gallery`` and ``probe``.
        sequences: all sequences of the store.
        gallery: positions of the enrolled sequences.
        probe: positions of the sequences to identify.
        distance: between two samples.

    Returns:
        Hits "knn7", in one view, "all". How ties are broken: see :func:`gait.evaluation.neighbours.vote`.

    Raises:
        DataError: gallery or probe is empty, or a sequence has no signature or one that is not finite.
    """
    _check(signatures, gallery, probe)
    rows, asked = (np.flatnonzero(np.isin(signatures.positions, which)) for which in (gallery, probe))
    places, distances = neighbours.nearest(signatures.values, asked, rows, kind=distance)
    if distance == "cosine":
        distances = np.sqrt(2 * np.maximum(distances, 0))  # which of one part is the Euclidean distance at length 1
    owners = _names(sequences, signatures.positions[rows].tolist(), "identity")
    named = neighbours.elected(owners[places], distances, signatures.positions[asked])
    hits = np.array([[float(named[position] == sequences[position].identity)] for position in probe])
    return _hits(sequences, probe, np.full(len(probe), "all"), np.array(["all"]), {"knn7": hits})


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
    """How many wrong sequences of each group of the gallery are closer to each probe than the right one; NaN if excluded."""
    averaged = signatures.averaged()
    _check(averaged, gallery, probe)
    if excluded.all():
        raise DataError("nothing to evaluate: identical views are excluded and there is only one view")
    row_of = {position: row for row, position in enumerate(averaged.positions.tolist())}
    people = np.unique(_names(sequences, averaged.positions.tolist(), "identity"), return_inverse=True)[1]
    probe_rows, gallery_rows = (np.array([row_of[position] for position in which]) for which in (probe, gallery))
    search = Search(probe_rows, gallery_rows, people, np.unique(groups, return_inverse=True)[1], excluded, RANKS)
    return np.where(excluded, np.nan, closer_wrong(averaged.values, search, distance, threads))


def _check(signatures: Signatures, gallery: Sequence[int], probe: Sequence[int]) -> None:
    if not gallery or not probe:
        raise DataError("nothing to evaluate: the test identities have no gallery or no probe sequences")
    missing = {*gallery, *probe} - set(signatures.positions.tolist())
    if missing:
        raise DataError(f"{len(missing)} sequences to evaluate have no signature, such as that at {min(missing)}")


def _hit(closer: np.ndarray, rank: int) -> np.ndarray:
    return np.where(np.isnan(closer), np.nan, (closer != NOBODY) & (closer < rank))


def _hits(
    sequences: Sequence[GaitSequence],
    probe: Sequence[int],
    views: np.ndarray,
    gallery_views: np.ndarray,
    hits: Mapping[str, np.ndarray],
) -> Hits:
    return Hits(_names(sequences, probe, "kind"), _names(sequences, probe, "identity"), views, gallery_views, hits)


def _names(sequences: Sequence[GaitSequence], positions: Sequence[int], what: str) -> np.ndarray:
    return np.array([getattr(sequences[position], what) for position in positions])
