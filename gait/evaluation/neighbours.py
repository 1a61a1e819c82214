"""The k nearest gallery samples of every probe sample, and whom they vote for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from gait.evaluation.distances import Points, between, exact

K = 7
PROBES, GALLERY = 128, 256  # samples compared at a time
EXACT_ROWS = 16


@threadpool_limits.wrap(limits=1, user_api="blas")
def nearest(values: np.ndarray, probe: np.ndarray, gallery: np.ndarray, k: int = K) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest gallery samples by mean Euclidean distance over parts; of equally near ones, the first in the gallery.

    Args:
        values: float32 [samples, parts, channels], normalised signatures.
        probe, gallery: rows of the samples.
        k: how many, or all if there are fewer.

    Returns:
        [probe, k] places in ``gallery``, nearest first, and float64 [probe, k] distances.
    """
    k = min(k, len(gallery))
    places, distances = np.empty((len(probe), k), np.int64), np.empty((len(probe), k))
    points = Points.of(values)
    for start in range(0, len(probe), PROBES):
        some = probe[start : start + PROBES]
        ours = points.taken(some)
        near, error = np.empty((len(gallery), len(some)), np.float32), 0.0
        for first in range(0, len(gallery), GALLERY):
            part = slice(first, first + GALLERY)
            near[part], part_error = between(ours, slice(None), points.taken(gallery[part]), "euclidean")
            error = max(error, part_error)
        farthest = np.partition(near, k - 1, axis=0)[k - 1] + 2 * error
        for row, sample in enumerate(ours.values):
            candidates = np.flatnonzero(near[:, row] <= farthest[row])
            found = _exact(values, sample, gallery, candidates, k)
            order = np.argsort(found, kind="stable")[:k]
            places[start + row], distances[start + row] = candidates[order], found[order]
    return places, distances


def _exact(values: np.ndarray, sample: np.ndarray, gallery: np.ndarray, candidates: np.ndarray, k: int) -> np.ndarray:
    """Distances of the candidates, or of the first of them as soon as k are at distance 0: nothing is nearer."""
    found = np.empty(0)
    for start in range(0, len(candidates), EXACT_ROWS):
        rows = gallery[candidates[start : start + EXACT_ROWS]]
        found = np.concatenate([found, exact(values, sample, rows, "euclidean")])
        if (found == 0).sum() >= k:
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
