"""Counts of wrong sequences closer to a probe than the right one, from which identification at rank r follows.

A probe is identified at rank r if fewer than r wrong gallery sequences are closer than the closest right one. So the search
compares the few right ones first, and ends with a probe as soon as r wrong ones, for the largest r, are closer. Signatures
near the origin are near to everybody's (hubs: Radovanovic et al., JMLR 2010), so they come first. The search compares whole
signatures only where their projections, which are never farther apart, do not decide. It computes in float64 again
what float32 leaves unsure. The answer is that of a stable sort of all exact distances.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from gait.data.prepared.sets import Distance
from gait.evaluation.blas import one_thread
from gait.evaluation.distances import TILE, TINY, UNIT, Points, Scaled, between, exact, of_pairs, rounding

FIRST, LARGEST = 32, 256  # gallery sequences compared at a time: few at first, which decide many probes
BLOCK_ROWS = 4096  # probes at a time
BLOCK_SHARE, CHUNK_SHARE = 0.05, 0.04  # the largest shares of all signatures in a block and a chunk, which are copies
DIRECTIONS, SAMPLE = 30, 128
WORTH = 0.3  # the largest share of comparisons that projections may leave open and still repay their cost
# What costs as much as one comparison in a matrix product: the product itself, copying a signature for it, and a comparison
# of one pair alone.
PRODUCT, COPY, PAIR = 300, 10, 8
EXACT_ROWS = 8
NOBODY = -1


@dataclass(frozen=True)
class Search:
    """The probes, and the gallery in which the search looks for them.

    Attributes:
        probe: [probes] rows of the signatures to identify.
        gallery: [gallery] rows of the enrolled signatures; among equally close ones the first here counts as closer.
        people: [samples] the person of each signature, as a whole number.
        groups: [gallery] the group of each row, 0 ... n - 1, such as its view; the search treats each group by itself.
        excluded: bool [probes, groups], the groups in which the search does not look for a probe.
        ranks: the ranks to decide, such as (1, 5).
    """

    probe: np.ndarray
    gallery: np.ndarray
    people: np.ndarray
    groups: np.ndarray
    excluded: np.ndarray
    ranks: tuple[int, ...] = (1, 5)

    @property
    def count(self) -> int:
        """The number of groups."""
        return self.excluded.shape[1]


def closer_wrong(values: np.ndarray, search: Search, kind: Distance = "euclidean", threads: int = 1) -> np.ndarray:
    """How many wrong gallery sequences are closer than the closest right one.

    Args:
        values: float32 [samples, parts, channels], signatures as the network gave them. They stay unchanged; the search
            needs a quarter of their memory in addition.
        search: the probes and the gallery.
        kind: the mean over parts of the Euclidean distance, or 1 minus the mean of the cosines.
        threads: the number of threads; the answer does not depend on it.

    Returns:
        int [probes, groups]: fewer than r if and only if the probe is identified at rank r, for each of the ranks;
        ``NOBODY`` where the group is excluded or has no sequence of the probe's person.

    Raises:
        DataError: a signature is not finite.
    """
    result = np.full(search.excluded.shape, NOBODY)
    order = np.argsort(search.people[search.probe], kind="stable")
    size = int(np.clip(BLOCK_SHARE * len(values) / threads, 1, BLOCK_ROWS))
    chunk = int(np.clip(CHUNK_SHARE * len(values) / threads, 1, LARGEST))
    # A matrix product is too small to share among threads, so each thread takes whole blocks.
    with one_thread(), ThreadPoolExecutor(threads) as pool:
        scaled = Scaled.of(values, kind)
        projection = _Projection.of(scaled, search) if kind == "euclidean" else None
        groups = _shortest_first(scaled, search)

        def answer(chosen: np.ndarray) -> None:
            result[chosen] = _Block(scaled, projection, search, chosen, kind).closer_wrong(groups, chunk)

        for _ in pool.map(answer, np.split(order, range(size, len(order), size))):
            pass
    return result


def _shortest_first(scaled: Scaled, search: Search) -> list[np.ndarray]:
    """For each group, its places in the gallery, from the shortest signature to the longest."""
    halves = scaled.halves[search.gallery].sum(1)
    members = (np.flatnonzero(search.groups == group) for group in range(search.count))
    return [columns[np.argsort(halves[columns], kind="stable")] for columns in members]


class _Block:
    """A block of probes that are compared together.

    Attributes:
        low, high: [probes, groups], bounds of the distance to the nearest right sequence; inf if there is none.
        sure: [probes, groups], the number of wrong sequences that are surely closer.
        unsure: [gallery, probes], true if float32 does not decide whether a wrong sequence is closer.
    """

    def __init__(
        self, scaled: Scaled, projection: _Projection | None, search: Search, chosen: np.ndarray, kind: Distance
    ) -> None:
        self.scaled, self.projection, self.search, self.kind = scaled, projection, search, kind
        self.rows = search.probe[chosen]
        self.probes, self.people = scaled.taken(self.rows), search.people[self.rows]
        self.shadows = projection and projection.of_probes(self.probes)
        self.enrolled = search.people[search.gallery]
        self.low, self.high = self._nearest_right()
        self.answered = ~search.excluded[chosen] & np.isfinite(self.high)
        self.low[~self.answered] = self.high[~self.answered] = -np.inf  # so that nobody is closer
        self.sure = np.zeros(self.low.shape, np.int64)
        self.unsure = np.zeros((len(search.gallery), len(chosen)), bool)

    def _nearest_right(self) -> tuple[np.ndarray, np.ndarray]:
        low, high = (np.full((len(self.rows), self.search.count), np.inf, np.float32) for _ in range(2))
        for person in np.unique(self.people):
            rows, columns = np.flatnonzero(self.people == person), np.flatnonzero(self.enrolled == person)
            if not len(columns):
                continue
            enrolled = self.scaled.taken(self.search.gallery[columns])
            distance, error = between(self.probes, rows, enrolled, self.kind)
            groups = self.search.groups[columns]
            for group in np.unique(groups):
                of_group = groups == group
                low[rows, group] = (distance - error)[of_group].min(0)
                high[rows, group] = (distance + error)[of_group].min(0)
        return low, high

    def closer_wrong(self, groups: list[np.ndarray], chunk: int) -> np.ndarray:
        """The block's rows of the function :func:`closer_wrong`.

        Args:
            groups: for each group, its places in the gallery, in the order in which to compare them.
            chunk: the most gallery sequences to compare at a time.
        """
        first = min(FIRST, -(-chunk // len(groups)))
        self._compare(np.arange(len(self.rows)), np.concatenate([columns[:first] for columns in groups]))
        for group, columns in enumerate(groups):
            for start in range(first, len(columns), chunk):
                undecided = self.answered[:, group] & (self.sure[:, group] < max(self.search.ranks))
                if not undecided.any():
                    break
                self._compare(np.flatnonzero(undecided), columns[start : start + chunk])
            self._settle(group, np.sort(columns))
        return np.where(self.answered, self.sure, NOBODY)

    def _compare(self, rows: np.ndarray, columns: np.ndarray) -> None:
        """Note which wrong gallery sequences are closer to these probes than the nearest right one, or may be."""
        if not self.projection or not self.shadows or not self.projection.pays:
            self._compare_all(rows, columns)
            return
        bound, error = self.projection.bound(self.shadows, rows, columns)
        possible = bound <= self.high[rows][:, self.search.groups[columns]].T + error
        possible &= self.enrolled[columns, None] != self.people[rows]
        self.projection.seen += possible.size
        for person in np.unique(self.people[rows]):
            of_person = np.flatnonzero(self.people[rows] == person)
            opened = possible[:, of_person]
            open_rows, open_columns = of_person[opened.any(0)], np.flatnonzero(opened.any(1))
            area = len(open_rows) * len(open_columns)
            if PAIR * np.count_nonzero(opened) > PRODUCT + COPY * len(open_columns) + area:
                self._compare_all(rows[open_rows], columns[open_columns])
                self.projection.left += area
                possible[:, of_person] = False
        places, others = np.nonzero(possible)
        self._compare_pairs(rows[others], columns[places])
        self.projection.left += len(places)

    def _compare_all(self, rows: np.ndarray, columns: np.ndarray) -> None:
        """Compare each of the probes with each of the gallery's sequences."""
        enrolled = self.scaled.taken(self.search.gallery[columns])
        everyone = len(rows) == len(self.rows)
        distance, error = between(self.probes, slice(None) if everyone else rows, enrolled, self.kind)
        groups = self.search.groups[columns]
        wrong = self.enrolled[columns, None] != self.people[rows]
        closer = wrong & (distance < self.low[rows][:, groups].T - error)
        unsure = wrong & ~closer & (distance <= self.high[rows][:, groups].T + error)
        self.unsure[columns[:, None], rows] = unsure
        for group in np.unique(groups):
            self.sure[rows, group] += closer[groups == group].sum(0)

    def _compare_pairs(self, rows: np.ndarray, columns: np.ndarray) -> None:
        """Compare pairs of a probe and a wrong sequence of the gallery, which projections left open: none is scaled."""
        distance, error = of_pairs(self.scaled.values, self.scaled.halves, self.rows[rows], self.search.gallery[columns])
        groups = self.search.groups[columns]
        closer = distance < self.low[rows, groups] - error
        self.unsure[columns, rows] = ~closer & (distance <= self.high[rows, groups] + error)
        np.add.at(self.sure, (rows[closer], groups[closer]), 1)

    def _settle(self, group: int, columns: np.ndarray) -> None:
        """Compute unsure comparisons in float64 where a rank depends on them, and count the closer sequences.

        Args:
            group: the group to settle.
            columns: its places in the gallery, in the gallery's order, which decides between equal distances.
        """
        unsure = self.unsure[columns]
        least = self.sure[:, group]
        most = least + unsure.sum(0)
        matters = np.any([(least < rank) & (rank <= most) for rank in self.search.ranks], 0)
        for row in np.flatnonzero(matters).tolist():
            right = columns[self.enrolled[columns] == self.people[row]]
            distances = np.concatenate([self._exact(row, part) for part in _parts(right)])
            nearest, place = distances.min(), right[distances.argmin()]
            for part in _parts(columns[unsure[:, row]]):
                distance = self._exact(row, part)
                closer = (distance < nearest) | ((distance == nearest) & (part < place))
                self.sure[row, group] += closer.sum()
                if self.sure[row, group] >= max(self.search.ranks):
                    break

    def _exact(self, row: int, columns: np.ndarray) -> np.ndarray:
        return exact(self.scaled.values, self.scaled.values[self.rows[row]], self.search.gallery[columns], self.kind)


def _parts(rows: np.ndarray) -> list[np.ndarray]:
    return np.split(rows, range(EXACT_ROWS, len(rows), EXACT_ROWS))


@dataclass(frozen=True)
class _Shadows:
    """Projections of signatures, with two more columns that make half of a squared distance one product.

    Attributes:
        values: float32 [parts, points, directions + 2].
        lengths: [points] the mean length of a signature's parts.
    """

    values: np.ndarray
    lengths: np.ndarray


class _Projection:
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
        self.gallery = _Shadows(values, np.sqrt(2 * scaled.halves[gallery]).mean(1))

    def _halves(self, projected: np.ndarray) -> np.ndarray:
        halves: np.ndarray = np.einsum("psd,psd->ps", projected, projected) * np.float32(0.5 * (1 + self.excess)) + TINY
        return halves

    @property
    def pays(self) -> bool:
        """Whether the projection has decided enough comparisons so far."""
        return self.left <= WORTH * self.seen

    @classmethod
    def of(cls, scaled: Scaled, search: Search) -> _Projection | None:
        """The projection, or None where it would spare too few comparisons: it keeps less than half of the variance."""
        channels = scaled.values.shape[2]
        used = np.concatenate([search.gallery, search.probe])
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
        return cls(directions, scaled, search.gallery)

    def of_probes(self, points: Points) -> _Shadows:
        """The projections of a block's probes."""
        values = np.empty((len(self.directions), len(points.values), DIRECTIONS + 2), np.float32)
        np.matmul(points.values.swapaxes(0, 1), -self.directions, out=values[..., :-2])
        values[..., -2], values[..., -1] = self._halves(values[..., :-2]), 1
        return _Shadows(values, np.sqrt(2 * points.halves).mean(1))

    def bound(self, probes: _Shadows, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
