"""Distances between signatures: fast in float32 with a bound on the rounding, and to the last bit in float64.

The distance of two sequences is the mean over parts of the Euclidean distance of their normalised signatures, or 1 minus
the mean over parts of their cosine (Chao et al., AAAI 2019, section 4).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np

from gait.evaluation.signatures import blocks

Distance = Literal["euclidean", "cosine"]
TILE = 1 << 16  # products at a time: two such arrays stay in a processor's cache
UNIT = 2.0**-24  # float32 rounds by at most this share


def rounding(channels: int) -> float:
    """How far a float32 product of two vectors of length 1 can be off, in whatever order it is summed."""
    return 1.01 * (channels + 8) * UNIT


@dataclass(frozen=True)
class Points:
    """Normalised signatures, or projections of them.

    Attributes:
        values: float32 [points, parts, channels], no part longer than 1.
        halves: float32 [points, parts], half of the squared lengths.
    """

    values: np.ndarray
    halves: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Self:
        """Measure the lengths of ``values``."""
        return cls(values, np.concatenate([np.einsum("spc,spc->sp", block, block) / 2 for block in blocks(values)]))

    def taken(self, rows: np.ndarray) -> Points:
        """Copies of some of them."""
        return Points(np.take(self.values, rows, 0), self.halves[rows])


def between(ours: Points, rows: np.ndarray | slice, theirs: Points, kind: Distance) -> tuple[np.ndarray, float]:
    """Distances in float32.

    Args:
        ours, theirs: points with the same parts and channels.
        rows: which of ours, at least one, against all of theirs; a slice must be of all.
        kind: Euclidean distance, or 1 minus the cosine.

    Returns:
        [theirs, rows] distances, and how far any of them can be from the exact one.
    """
    chosen = np.arange(len(ours.values))[rows]
    count, parts, channels = theirs.values.shape
    off = 2 * rounding(channels)
    total, error = np.empty((count, len(chosen)), np.float32), 0.0
    step = max(1, TILE // count)
    for start in range(0, len(chosen), step):
        tile = chosen[start : start + step]
        at_once = max(1, TILE // (count * len(tile)))
        ours_halves, theirs_halves = np.ascontiguousarray(ours.halves[tile].T), theirs.halves.T
        sums, tile_error = np.zeros((count, len(tile)), np.float32), 0.0
        for first in range(0, parts, at_once):
            part = slice(first, min(parts, first + at_once))
            x = _of_parts(ours.values, slice(start, start + step) if isinstance(rows, slice) else tile, part)
            products = np.matmul(theirs.values[:, part].swapaxes(0, 1), x.swapaxes(1, 2))
            if kind == "euclidean":
                # Half of a squared distance, which is ``off``: its root by that over the root, at most by the root of that.
                np.subtract(theirs_halves[part][..., None], products, out=products)
                products += ours_halves[part][:, None]
                # Below 0 by rounding only: the absolute value is as good an answer as 0 and quicker to get.
                np.sqrt(np.abs(products, out=products), out=products)
                nearest = products.reshape(len(products), -1).min(1)
                tile_error += float((off / np.maximum(nearest, off**0.5)).sum())
            sums += products.sum(0) if len(products) > 1 else products[0]
        total[:, start : start + step] = sums
        error = max(error, tile_error)
    if kind == "cosine":
        return 1 - total / parts, rounding(channels) + 4 * (parts + 4) * UNIT
    total *= 2**0.5 / parts
    return total, 2**0.5 * error / parts + 4 * (parts + 4) * UNIT


def _of_parts(values: np.ndarray, rows: np.ndarray | slice, part: slice) -> np.ndarray:
    """Some rows of some parts of ``values`` [points, parts, channels] as [parts, rows, channels]."""
    if isinstance(rows, slice):
        return values[rows, part].swapaxes(0, 1)
    places = rows * values.shape[1] + np.arange(part.start, part.stop)[:, None]
    return np.take(values.reshape(-1, values.shape[2]), places, 0)


def exact(values: np.ndarray, row: np.ndarray, rows: np.ndarray, kind: Distance) -> np.ndarray:
    """Distances of one normalised signature to some of ``values`` in float64, each the same whatever the others are.

    Args:
        values: float32 [samples, parts, channels].
        row: float32 [parts, channels].
        rows: which samples; memory is needed for three times these in float64.
        kind: Euclidean distance, or 1 minus the cosine.

    Returns:
        float64 [rows].
    """
    ours, theirs = row.astype(np.float64), values[rows].astype(np.float64)
    if kind == "cosine":
        theirs *= ours
        return 1 - theirs.sum(-1).mean(-1)
    theirs -= ours
    theirs *= theirs
    return np.sqrt(theirs.sum(-1)).mean(-1)
