"""The k nearest gallery samples of every probe sample, and whom they vote for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gait.data.prepared.sets import Distance
from gait.evaluation.blas import one_thread
from gait.evaluation.distances import Scaled, between, exact

K = 7
PROBES, GALLERY = 128, 256  # samples compared at a time
EXACT_ROWS = 16


@one_thread()
def nearest(
    values: np.ndarray, probe: np.ndarray, gallery: np.ndarray, k: int = K, kind: Distance = "euclidean"
) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest gallery samples; of equally near ones, the first in the gallery.

    Args:
        values: float32 [samples, parts, channels], signatures as the network gave them.
        probe, gallery: rows of the samples.
        k: how many, or all if there are fewer.
        kind: the mean over parts of the Euclidean distance, or 1 minus the mean of the cosines.

    Returns:
        [probe, k] places in ``gallery``, nearest first, and float64 [probe, k] distances.

    Raises:
        DataError: a signature is not finite.
    """
    k = min(k, len(gallery))
    places, distances = np.empty((len(probe), k), np.int64), np.empty((len(probe), k))
    scaled = Scaled.of(values, kind)
    for start in range(0, len(probe), PROBES):
        some = probe[start : start + PROBES]
        ours = scaled.taken(some)
        least, most = (np.empty((len(gallery), len(some)), np.float32) for _ in range(2))
        for first in range(0, len(gallery), GALLERY):
            part = slice(first, first + GALLERY)
            near, error = between(ours, slice(None), scaled.taken(gallery[part]), kind)
            least[part], most[part] = near - error, near + error
        farthest = np.partition(most, k - 1, axis=0)[k - 1]
        for row, sample in enumerate(some):
            candidates = np.flatnonzero(least[:, row] <= farthest[row])
            found = _exact(values, values[sample], gallery, candidates, k, kind)
            order = np.argsort(found, kind="stable")[:k]
            places[start + row], distances[start + row] = candidates[order], found[order]
    return places, distances


def _exact(
    values: np.ndarray, sample: np.ndarray, gallery: np.ndarray, candidates: np.ndarray, k: int, kind: Distance
) -> np.ndarray:
    """Distances of the candidates, or of the first of them as soon as k are at Euclidean distance 0: nothing is nearer."""
    found = np.empty(0)
    for start in range(0, len(candidates), EXACT_ROWS):
        rows = gallery[candidates[start : start + EXACT_ROWS]]
        found = np.concatenate([found, exact(values, sample, rows, kind)])
        if kind == "euclidean" and (found == 0).sum() >= k:
            break
    return found


def vote(identities: Sequence[str], distances: Sequence[float]) -> str:
    """Whom most votes are for; of several with as many, the one whose votes' distances have the smallest sum.

    Args:
        identities: whom each vote is for; of those that are equal even so, the first here is elected.
        distances: of each vote.
    """
    totals: dict[str, tuple[int, float]] = {}
    for identity, distance in zip(identities, distances, strict=True):
        count, total = totals.get(identity, (0, 0.0))
        totals[identity] = (count + 1, total + distance)
    return min(totals, key=lambda identity: (-totals[identity][0], totals[identity][1]))


def elected(identities: np.ndarray, distances: np.ndarray, videos: np.ndarray) -> dict[int, str]:
    """Whom the samples of each video vote for: the neighbours of a sample elect, then the samples of a video.

    A sample's vote counts with the distance of its nearest neighbour of the one it is for.

    Args:
        identities: [samples, k] whose the neighbours of each sample are, nearest first.
        distances: [samples, k] their distances.
        videos: [samples] which video each sample is of.

    Returns:
        For each video, the identity.
    """
    ballots: dict[int, list[tuple[str, float]]] = {}
    for names, far, video in zip(identities.tolist(), distances.tolist(), videos.tolist(), strict=True):
        name = vote(names, far)
        ballots.setdefault(video, []).append((name, far[names.index(name)]))
    return {video: vote(*zip(*ballot, strict=True)) for video, ballot in ballots.items()}
