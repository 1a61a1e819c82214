"""Projections of signatures on few directions, which decide most comparisons at a small part of their cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gait.evaluation.distances import TILE, TINY, UNIT, Points, Scaled, rounding

DIRECTIONS, SAMPLE = 30, 128
WORTH = 0.3  # the largest share of comparisons that projections may leave open and still repay their cost


@dataclass(frozen=True)
class Shadows:
    """Projections of signatures, with two more columns that make half of a squared distance one product.

    Attributes:
        values: float32 [parts, points, directions + 2].
        lengths: [points] the mean length of a signature's parts.
    """

    values: np.ndarray
    lengths: np.ndarray


class Projection:
    """Projections of signatures on the few directions in which they differ most, part by part, which brings them nearer.

    Half of a squared distance is one product of two rows, (y, 1, y * y / 2) and (-x, x * x / 2, 1). The squares are enlarged
    by more than rounding can take away, so no root has a negative argument. The gallery's projections are kept, since
    every block of probes is compared with them.
    """

    def __init__(self, directions: np.ndarray, scaled: Scaled, gallery: np.ndarray) -> None:
        self.directions = directions
        self.seen = self.left = 0
        # The shares by which the squares are enlarged, and by which rounding can change projections and sums.
        self.excess = 3.2 * rounding(DIRECTIONS + 2)
        self.rounding = 2 * (DIRECTIONS**0.5 + 1) * rounding(directions.shape[1]) + 8 * (len(directions) + 8) * UNIT
        values = np.empty((len(directions), len(gallery), DIRECTIONS + 2), np.float32)
        for part, axes in enumerate(directions):
            np.matmul(scaled.values[gallery, part], axes, out=values[part, :, :-2])
        values[..., -2], values[..., -1] = 1, self._halves(values[..., :-2])
        self.gallery = Shadows(values, np.sqrt(2 * scaled.halves[gallery]).mean(1))

    def _halves(self, projected: np.ndarray) -> np.ndarray:
        halves: np.ndarray = np.einsum("psd,psd->ps", projected, projected) * np.float32(0.5 * (1 + self.excess)) + TINY
        return halves

    @property
    def pays(self) -> bool:
        """Whether the projection has decided enough comparisons so far."""
        return self.left <= WORTH * self.seen

    @classmethod
    def of(cls, scaled: Scaled, used: np.ndarray, gallery: np.ndarray) -> Projection | None:
        """The projection, or None where it would spare too few comparisons: it keeps less than half of the variance.

        Args:
            scaled: all signatures.
            used: the rows of those that will be compared.
            gallery: the rows of the gallery.
        """
        channels = scaled.values.shape[2]
        if scaled.factors is not None or channels < 4 * DIRECTIONS or len(used) < 12 * SAMPLE:
            return None
        rng = np.random.default_rng(0)
        sample = scaled.values[np.sort(rng.choice(used, SAMPLE, replace=False))].swapaxes(0, 1)
        sample = sample - sample.mean(1, keepdims=True)
        # Randomised subspace iteration (Halko et al., SIAM Review 2011, algorithm 4.4) is near enough to the principal axes.
        directions = rng.standard_normal((len(sample), channels, DIRECTIONS), np.float32)
        for _ in range(2):
            directions = np.linalg.qr(sample.swapaxes(1, 2) @ (sample @ directions))[0]
        if np.square(sample @ directions).sum() < 0.5 * np.square(sample).sum():
            return None
        return cls(directions, scaled, gallery)

    def of_probes(self, points: Points) -> Shadows:
        """The projections of a block's probes."""
        values = np.empty((len(self.directions), len(points.values), DIRECTIONS + 2), np.float32)
        np.matmul(points.values.swapaxes(0, 1), -self.directions, out=values[..., :-2])
        values[..., -2], values[..., -1] = self._halves(values[..., :-2]), 1
        return Shadows(values, np.sqrt(2 * points.halves).mean(1))

    def bound(self, probes: Shadows, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lower bounds of Euclidean distances, [columns, rows], and by how much rounding can make them too large.

        Args:
            probes: the projections of a block's probes.
            rows: the probes to compare, as places in the block.
            columns: the signatures to compare, as places in the gallery.
        """
        enrolled, projected = self.gallery.values[:, columns], probes.values[:, rows]
        bound = np.zeros((len(columns), len(rows)), np.float32)
        step = max(1, TILE // len(columns))
        products = np.empty((len(columns), min(step, len(rows))), np.float32)
        for first in range(0, len(rows), step):
            tile = slice(first, first + step)
            roots = products[:, : len(rows[tile])]
            for part in range(len(enrolled)):
                np.matmul(enrolled[part], projected[part, tile].T, out=roots)
                np.sqrt(roots, out=roots)
                bound[:, tile] += roots
        bound *= np.float32(2**0.5 / len(enrolled))
        # At most the root of the squares' enlargement, and the rounding of the projections and of the sum.
        share = np.float32((2 * self.excess) ** 0.5 + self.rounding)
        return bound, share * (probes.lengths[rows] + self.gallery.lengths[columns, None])
