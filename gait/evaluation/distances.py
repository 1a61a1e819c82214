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
# Fewer numbers in one sum make its bound of rounding smaller, so the products of these many channels and the roots of these
# many parts are summed first, then their sums.
CHANNELS, PARTS = 128, 8
UNIT = 2.0**-24  # float32 rounds by at most this share
DOUBLE = 2.0**-29  # float64 rounds by this share of what float32 does
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

    @property
    def unit(self) -> float:
        """The Euclidean distance of scaled signatures whose distance is 1 as the network gave them."""
        return 1.0 if self.factors is None else float(self.factors[0, 0])

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
        sums = [np.einsum("spc,spc->sp", block, block, dtype=np.float64) for block in blocks(values)]
        return (np.concatenate(sums) / 2).astype(np.float32)


def between(probes: Points, rows: np.ndarray | slice, gallery: Points, kind: Distance) -> tuple[np.ndarray, np.ndarray]:
    """Distances in float32.

    Args:
        probes, gallery: points with the same parts and channels.
        rows: the probes to compare with the whole gallery, at least one; a slice must take all of them.
        kind: Euclidean distance, or 1 minus the cosine.

    Returns:
        [gallery, rows] distances, and the bounds of their errors: [1, rows], of the whole gallery.
    """
    chosen = np.arange(len(probes.values))[rows]
    count, parts, channels = gallery.values.shape
    total, error = np.zeros((count, len(chosen)), np.float32), np.zeros((1, len(chosen)), np.float32)
    step = max(1, TILE // count)
    # 1 minus the cosine is half of the squared distance of vectors of length 1.
    halves = gallery.halves.T if kind == "euclidean" else np.full((parts, count), 0.5, np.float32)
    farthest = halves.max(1, keepdims=True)
    ends = np.stack([halves, np.ones_like(halves)], 2)
    for start in range(0, len(chosen), step):
        tile, place = chosen[start : start + step], slice(start, start + step)
        halves = probes.halves[tile].T if kind == "euclidean" else np.full((parts, len(tile)), 0.5, np.float32)
        off = _off(farthest + halves, channels, CHANNELS)
        other_ends = np.stack([np.ones_like(halves), halves], 1)
        at_once = max(1, min(PARTS, TILE // (count * len(tile))))
        room = np.empty((2, at_once, count, len(tile)), np.float32)
        sums = np.empty((count, len(tile)), np.float32)
        for group in range(0, parts, PARTS):
            last = min(parts, group + PARTS)
            sums[:] = 0
            for first in range(group, last, at_once):
                part = slice(first, min(last, first + at_once))
                rest, products = room[:, : part.stop - first]
                # The sum of both halves; a product of two columns takes half of the time of an outer sum.
                np.matmul(ends[part], other_ends[part], out=rest)
                ours = gallery.values[:, part].swapaxes(0, 1)
                theirs = _of_parts(probes.values, place if isinstance(rows, slice) else tile, part).swapaxes(1, 2)
                for channel in range(0, channels, CHANNELS):
                    some = slice(channel, channel + CHANNELS)
                    rest -= np.matmul(ours[..., some], theirs[:, some], out=products)
                if kind == "euclidean":
                    # Only rounding brings them below 0. The absolute value is as good as 0 then, and quicker to compute.
                    np.sqrt(np.abs(rest, out=rest), out=rest)
                    error[:, place] += _off_of_root(off[part], rest.min(1)).sum(0)
                sums += rest.sum(0) if len(rest) > 1 else rest[0]
            total[:, place] += sums
    additions = PARTS + -(-parts // PARTS)
    if kind == "cosine":
        # The errors of the product, of both lengths, and of the sum.
        error[:] = _share(channels, CHANNELS) + 8 * UNIT + 2 * rounding(additions)
        return total / parts, error
    return _means(total, error, parts, additions)


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
    _, parts, channels = values.shape
    return _means(roots.sum(1), _off_of_root(_off(both, channels, channels), roots).sum(1), parts, parts)


def _share(channels: int, together: int) -> float:
    """The error bound of half of a squared distance, as a share of the sum of half of both squared lengths.

    The products of ``together`` channels at a time are summed, and each sum is subtracted. What is left is at most twice the
    halves' sum, and is rounded every time.
    """
    return rounding(min(channels, together)) + 2 * (-(-channels // together) + 1) * UNIT


def _off(halves: np.ndarray, channels: int, together: int) -> np.ndarray:
    """By how much half of a squared distance can be off, from the sum of half of both squared lengths."""
    return np.float32(_share(channels, together)) * halves + channels * np.float32(TINY)


def _off_of_root(off: np.ndarray, root: np.ndarray) -> np.ndarray:
    """By how much the root of a number that is off by ``off`` can be off: ``off`` over the root, at most ``off``'s root."""
    return off / np.maximum(root, np.sqrt(off))


def _means(total: np.ndarray, error: np.ndarray, parts: int, additions: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean distances from sums of roots of half of the squared ones, and their errors; both arrays are used up.

    Args:
        total, error: the sums, and by how much the roots can be off: of all or, with one row, at most that of any row.
        parts: the number of parts.
        additions: the most additions that a root goes through.
    """
    error += np.float32(rounding(additions)) * (total.max(0, keepdims=True) if total.ndim > 1 else total)
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
    sums, room = np.empty((len(rows), len(signature))), np.empty(signature.shape)
    # One after the other, so that all arithmetic stays in a processor's cache.
    for place, other in enumerate(rows.tolist()):
        room[:] = values[other]
        if kind == "cosine":
            room /= _norms(room)
            room *= signature
        else:
            room -= signature
            room *= room
        np.add.reduce(room, -1, out=sums[place])
    return 1 - sums.mean(-1) if kind == "cosine" else np.sqrt(sums).mean(-1)


def nearly_exact(values: np.ndarray, ones: np.ndarray, others: np.ndarray, kind: Distance) -> tuple[np.ndarray, np.ndarray]:
    """Distances in float64 by matrix products, which are quick but round otherwise than :func:`exact`.

    Args:
        values, kind: as of :func:`exact`.
        ones, others: the samples to compare with each other.

    Returns:
        float64 [ones, others] distances, and by how much those of :func:`exact` may differ from them.
    """
    _, parts, channels = values.shape
    total, error = np.zeros((2, len(ones), len(others)))
    for part in range(parts):
        x, y = (values[rows, part].astype(np.float64) for rows in (ones, others))
        if kind == "cosine":
            x, y = x / _norms(x), y / _norms(y)
            total += x @ y.T
        else:
            halves = (np.einsum("sc,sc->s", x, x)[:, None] + np.einsum("sc,sc->s", y, y)) / 2
            roots = np.sqrt(np.abs(halves - x @ y.T))
            total += roots
            # The errors of the product and of both lengths.
            error += _off_of_root(2 * DOUBLE * rounding(channels) * halves + np.finfo(np.float64).tiny, roots)
    if kind == "cosine":
        return 1 - total / parts, np.full(total.shape, 4 * DOUBLE * rounding(channels + parts))
    # Twice as much as rounding takes away from sums of roots, or from those of squares in :func:`exact`.
    error += 2 * DOUBLE * rounding(channels + parts) * total
    return total * (2**0.5 / parts), 1.01 * error * (2**0.5 / parts)


def _norms(values: np.ndarray) -> np.ndarray:
    """Lengths along the last axis, which is kept; inf in place of 0, so that a part of length 0 stays 0 when divided."""
    lengths = np.sqrt(np.square(values).sum(-1, keepdims=True))
    return np.where(lengths < TINY, np.inf, lengths)
