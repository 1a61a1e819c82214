"""The k nearest gallery samples of every probe sample, and the identities for which they vote."""

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
    """The k nearest gallery samples; among equally near ones the first in the gallery comes first.

    Args:
        values: float32 [samples, parts, channels], signatures as the network gave them.
        probe, gallery: rows of the samples.
        k: the number of neighbours; all gallery samples if there are fewer.
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
        block = probe[start : start + PROBES]
        points = scaled.taken(block)
        least, most = (np.empty((len(gallery), len(block)), np.float32) for _ in range(2))
        for first in range(0, len(gallery), GALLERY):
            part = slice(first, first + GALLERY)
            distance, error = between(points, slice(None), scaled.taken(gallery[part]), kind)
            least[part], most[part] = distance - error, distance + error
        farthest = np.partition(most, k - 1, axis=0)[k - 1]
        for row, sample in enumerate(block):
            candidates = np.flatnonzero(least[:, row] <= farthest[row])
            exact_distances = _exact(values, values[sample], gallery, candidates, k, kind)
            order = np.argsort(exact_distances, kind="stable")[:k]
            places[start + row], distances[start + row] = candidates[order], exact_distances[order]
    return places, distances


def _exact(
    values: np.ndarray, sample: np.ndarray, gallery: np.ndarray, candidates: np.ndarray, k: int, kind: Distance
) -> np.ndarray:
    """Distances of the candidates in order, until k of them have Euclidean distance 0: none can be nearer."""
    distances = np.empty(0)
    for start in range(0, len(candidates), EXACT_ROWS):
        rows = gallery[candidates[start : start + EXACT_ROWS]]
        distances = np.concatenate([distances, exact(values, sample, rows, kind)])
        if kind == "euclidean" and (distances == 0).sum() >= k:
            break
    return distances


def vote(identities: Sequence[str], distances: Sequence[float]) -> str:
    """The identity with most votes; among equals, that with the smallest sum of its votes' distances.

    Args:
        identities: the identity of each vote; if sums are equal too, the first in this list wins.
        distances: the distance of each vote.
    """
    totals: dict[str, tuple[int, float]] = {}
    for identity, distance in zip(identities, distances, strict=True):
        count, total = totals.get(identity, (0, 0.0))
        totals[identity] = (count + 1, total + distance)
    return min(totals, key=lambda identity: (-totals[identity][0], totals[identity][1]))


def elected(identities: np.ndarray, distances: np.ndarray, videos: np.ndarray) -> dict[int, str]:
    """The identity of each video: a sample's neighbours vote for the sample's identity, then the samples for the video's.

    A sample's vote counts with the distance of its nearest neighbour of the elected identity.

    Args:
        identities: [samples, k] identities of the neighbours of each sample, nearest first.
        distances: [samples, k] their distances.
        videos: [samples] the video of each sample.

    Returns:
        The identity by video.
    """
    ballots: dict[int, list[tuple[str, float]]] = {}
    for neighbours, far, video in zip(identities.tolist(), distances.tolist(), videos.tolist(), strict=True):
        name = vote(neighbours, far)
        ballots.setdefault(video, []).append((name, far[neighbours.index(name)]))
    return {video: vote(*zip(*ballot, strict=True)) for video, ballot in ballots.items()}
