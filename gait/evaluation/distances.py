"""Distances between signatures: fast in float32 with a bound on the rounding, and to the last bit in float64.

The distance of two sequences is the mean over parts of the Euclidean distance of their signatures as the network gives them
(Chao et al., AAAI 2019, section 4; OpenGait's metric "euc"), or 1 minus the mean over parts of their cosine ("cos"), for
which every part is scaled to length 1 and a part of length 0 stays 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from gait.data.prepared.sets import Distance
from gait.errors import DataError
from gait.evaluation.signatures import blocks

TILE = 1 << 16  # products at a time: two such arrays stay in a processor's cache
UNIT = 2.0**-24  # float32 rounds by at most this share
TINY = float(np.finfo(np.float32).tiny)
# Between these lengths, float32 holds the squares of signatures and their products in projections.
SMALLEST, LARGEST = 2.0**-24, 2.0**24


def rounding(channels: int) -> float:
    """The error bound of a float32 product of two vectors, in any order, as a share of the product of their lengths."""
    return 1.01 * (channels + 8) * UNIT


@dataclass(frozen=True)
class Points:
    """Signatures ready to be compared, or projections of them.

    Attributes:
        values: float32 [points, parts, channels], no part longer than LARGEST.
        halves: float32 [points, parts], half of the squared lengths.
    """

    values: np.ndarray
    halves: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Self:
        """Measure the lengths of ``values``."""
        return cls(values, _halves(values))

    def taken(self, rows: np.ndarray) -> Points:
        """Copies of the points in these rows."""
        return Points(np.take(self.values, rows, 0), self.halves[rows])


@dataclass(frozen=True)
class Scaled:
    """Unchanged signatures, and the factors that scale copies of them for a comparison.

    Attributes:
        values: float32 [samples, parts, channels], as the network gave them.
        halves: float32 [samples, parts], half of the squared lengths, scaled.
        factors: multiply the signatures: None for 1; float32 [samples, parts]; or float64 [samples, parts] if float32 cannot
            hold the factors or their products.
    """

    values: np.ndarray
    halves: np.ndarray
    factors: np.ndarray | None

    @classmethod
    def of(cls, values: np.ndarray, kind: Distance) -> Self:
        """Signatures scaled by one factor, nearly always 1, for Euclidean distances; each part to length 1 for cosines.

        Args:
            values: float32 [samples, parts, channels].
            kind: the distance of the comparison.

        Raises:
            DataError: a signature is not finite.
        """
        halves = _halves(values)
        longest = float(np.sqrt(2 * halves.max(initial=0)))
        if not SMALLEST <= longest <= LARGEST:
            return cls._of_extremes(values, kind)
        if kind == "euclidean":
            return cls(values, halves, None)
        small = halves < SMALLEST**2 / 2
        if values[small].any():
            return cls._of_extremes(values, kind)
        factors = 1 / np.sqrt(2 * np.where(small, np.float32(np.inf), halves))
        return cls(values, np.where(small, np.float32(0), np.float32(0.5)), factors)

    @classmethod
    def _of_extremes(cls, values: np.ndarray, kind: Distance) -> Self:
        lengths = np.concatenate(
            [np.sqrt(np.einsum("spc,spc->sp", block, block, dtype=np.float64)) for block in blocks(values)]
        )
        if not np.isfinite(lengths).all():
            raise DataError("signatures are not finite: the model diverged in training or overflows")
        if kind == "cosine":
            factors = 1 / np.where(lengths < TINY, np.inf, lengths)
        else:
            longest = float(lengths.max(initial=0)) or 1.0
            factors = np.broadcast_to(2.0 ** -np.ceil(np.log2(longest)), lengths.shape)
        return cls(values, (np.square(lengths * factors) / 2).astype(np.float32), factors)

    def taken(self, rows: np.ndarray) -> Points:
        """Scaled copies of the signatures in these rows."""
        copies = np.take(self.values, rows, 0)
        if self.factors is not None:
            factors = self.factors[rows][..., None]
            copies = copies * factors if factors.dtype == np.float64 else np.multiply(copies, factors, out=copies)
        return Points(copies.astype(np.float32, copy=False), self.halves[rows])


def _halves(values: np.ndarray) -> np.ndarray:
    """Half of the squared length of every part, float32 [samples, parts]; inf or 0 where float32 cannot hold it."""
    with np.errstate(all="ignore"):
        return np.concatenate([np.einsum("spc,spc->sp", block, block) / 2 for block in blocks(values)])


def between(probes: Points, rows: np.ndarray | slice, gallery: Points, kind: Distance) -> tuple[np.ndarray, np.ndarray]:
    """Distances in float32.

    Args:
        probes, gallery: points with the same parts and channels.
        rows: the probes to compare with the whole gallery, at least one; a slice must take all of them.
        kind: Euclidean distance, or 1 minus the cosine.

    Returns:
        [gallery, rows] distances, and the bounds of their errors, in an array that broadcasts to the distances.
    """
    chosen = np.arange(len(probes.values))[rows]
    count, parts, channels = gallery.values.shape
    total = np.empty((count, len(chosen)), np.float32)
    error = np.empty((count, len(chosen)), np.float32) if kind == "euclidean" else np.empty((1, 1), np.float32)
    step = max(1, TILE // count)
    gallery_halves = gallery.halves.T
    for start in range(0, len(chosen), step):
        tile = chosen[start : start + step]
        at_once = max(1, TILE // (count * len(tile)))
        probe_halves = np.ascontiguousarray(probes.halves[tile].T)
        sums, errors = np.zeros((count, len(tile)), np.float32), np.zeros(count, np.float32)
        for first in range(0, parts, at_once):
            part = slice(first, min(parts, first + at_once))
            tile_values = _of_parts(probes.values, slice(start, start + step) if isinstance(rows, slice) else tile, part)
            products = np.matmul(gallery.values[:, part].swapaxes(0, 1), tile_values.swapaxes(1, 2))
            if kind == "euclidean":
                np.subtract(gallery_halves[part][..., None], products, out=products)
                products += probe_halves[part][:, None]
                # Only rounding brings them below 0. The absolute value is as good as 0 then, and quicker to compute.
                np.sqrt(np.abs(products, out=products), out=products)
                off = _off(gallery_halves[part] + probe_halves[part].max(1, keepdims=True), channels)
                errors += _off_of_root(off, products.min(2)).sum(0)
            sums += products.sum(0) if len(products) > 1 else products[0]
        total[:, start : start + step] = sums
        if kind == "euclidean":
            error[:, start : start + step] = errors[:, None]
    if kind == "cosine":
        # The error of the product, and that of both lengths, which is as large.
        error[:] = 2 * rounding(channels) + 4 * (parts + 4) * UNIT
        return 1 - total / parts, error
    return _means(total, error, parts)


def of_pairs(values: np.ndarray, halves: np.ndarray, ones: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Euclidean distances of few pairs, in float32, without copies of their signatures.

    Args:
        values, halves: as of :class:`Points`.
        ones, others: [pairs] the points of each pair.

    Returns:
        [pairs] distances, and the bounds of their errors.
    """
    roots = np.empty((len(ones), values.shape[1]), np.float32)
    for place, (one, other) in enumerate(zip(ones.tolist(), others.tolist(), strict=True)):
        np.einsum("pc,pc->p", values[one], values[other], out=roots[place])
    both = halves[ones] + halves[others]
    np.sqrt(np.abs(np.subtract(both, roots, out=roots), out=roots), out=roots)
    return _means(roots.sum(1), _off_of_root(_off(both, values.shape[2]), roots).sum(1), values.shape[1])


def _off(halves: np.ndarray, channels: int) -> np.ndarray:
    """By how much half of a squared distance can be off, from the sum of half of both squared lengths."""
    return 2 * rounding(channels) * halves + channels * TINY


def _off_of_root(off: np.ndarray, root: np.ndarray) -> np.ndarray:
    """By how much the root of a number that is off by ``off`` can be off: ``off`` over the root, at most ``off``'s root."""
    return off / np.maximum(root, np.sqrt(off))


def _means(total: np.ndarray, error: np.ndarray, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean distances from sums of roots of half of the squared ones, and their errors; both arrays are used up."""
    error += 2 * (parts + 4) * UNIT * total  # roots and their sum are rounded too
    scale = np.float32(2**0.5 / parts)
    total *= scale
    error *= 1.01 * scale
    return total, error


def _of_parts(values: np.ndarray, rows: np.ndarray | slice, part: slice) -> np.ndarray:
    """These rows and parts of ``values`` [points, parts, channels] as [parts, rows, channels]."""
    if isinstance(rows, slice):
        return values[rows, part].swapaxes(0, 1)
    places = rows * values.shape[1] + np.arange(part.start, part.stop)[:, None]
    return np.take(values.reshape(-1, values.shape[2]), places, 0)


def exact(values: np.ndarray, row: np.ndarray, rows: np.ndarray, kind: Distance) -> np.ndarray:
    """Distances of one signature to rows of ``values`` in float64; none depends on which other rows there are.

    Args:
        values: float32 [samples, parts, channels], as the network gave them.
        row: float32 [parts, channels], the signature.
        rows: the samples to compare it with.
        kind: Euclidean distance, or 1 minus the cosine.

    Returns:
        float64 [rows].
    """
    signature = row.astype(np.float64)
    if kind == "cosine":
        signature /= _norms(signature)
    result, room = np.empty(len(rows)), np.empty(signature.shape)
    # One after the other, so that all arithmetic stays in a processor's cache.
    for place, other in enumerate(rows.tolist()):
        if kind == "cosine":
            room[:] = values[other]
            room /= _norms(room)
            room *= signature
            result[place] = 1 - room.sum(-1).mean()
        else:
            np.subtract(values[other], signature, out=room)
            room *= room
            result[place] = np.sqrt(room.sum(-1)).mean()
    return result


def _norms(values: np.ndarray) -> np.ndarray:
    """Lengths along the last axis, which is kept; inf in place of 0, so that a part of length 0 stays 0 when divided."""
    lengths = np.sqrt(np.square(values).sum(-1, keepdims=True))
    return np.where(lengths < TINY, np.inf, lengths)
