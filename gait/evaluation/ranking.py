"""Counts of wrong sequences closer to a probe than the right one, from which identification at rank r follows.

A probe is identified at rank r if fewer than r wrong gallery sequences are closer than the closest right one. So the search
compares the few right ones first, and ends with a probe as soon as r wrong ones, for the largest r, are closer. Signatures
near the origin are near to everybody's (hubs: Radovanovic et al., JMLR 2010), so they come first. The search compares whole
signatures only where their projections, which are never farther apart, do not decide. It computes in float64 again
what float32 leaves unsure. The answer is that of a stable sort of all exact distances.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gait.data.prepared.sets import Distance
from gait.evaluation.blas import one_thread
from gait.evaluation.blocks import BLOCK_ROWS, BLOCK_SHARE, CHUNK_ROWS, CHUNK_SHARE, Block, Search, World, size_of
from gait.evaluation.distances import Scaled

FIRST = 32  # gallery sequences of a group that are compared first: few, which decide many probes
EXACT_ROWS = 8  # compared exactly before it is seen whether they decide
NOBODY = -1


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
    chunk = size_of(CHUNK_SHARE, len(values), threads, CHUNK_ROWS)
    # A matrix product is too small to share among threads, so each thread takes whole blocks.
    with one_thread(), ThreadPoolExecutor(threads) as pool:
        world = World.of(values, search, kind)
        groups = _shortest_first(world.scaled, search)

        def answer(chosen: np.ndarray) -> None:
            result[chosen] = _Counts(world, chosen).closer_wrong(groups, chunk)

        for _ in pool.map(answer, search.blocks(size_of(BLOCK_SHARE, len(values), threads, BLOCK_ROWS))):
            pass
    return result


def _shortest_first(scaled: Scaled, search: Search) -> list[np.ndarray]:
    """For each group, its places in the gallery, from the shortest signature to the longest."""
    halves = scaled.halves[search.gallery].sum(1)
    members = (np.flatnonzero(search.groups == group) for group in range(search.count))
    return [columns[np.argsort(halves[columns], kind="stable")] for columns in members]


class _Counts(Block):
    """A block of probes, and how many wrong sequences are closer to each than the nearest right one.

    Attributes:
        low, limit: [probes, groups], bounds of the distance to the nearest right sequence; -inf if there is none.
        sure: [probes, groups], the number of wrong sequences that are surely closer.
        unsure: [gallery, probes], true if float32 does not decide whether a wrong sequence is closer.
    """

    def __init__(self, world: World, chosen: np.ndarray) -> None:
        super().__init__(world, chosen)
        self.low, self.limit = self._nearest_right()
        self.answered = ~self.search.excluded[chosen] & np.isfinite(self.limit)
        self.low[~self.answered] = self.limit[~self.answered] = -np.inf  # so that nobody is closer
        self.sure = np.zeros(self.low.shape, np.int64)
        self.unsure = np.zeros((len(self.search.gallery), len(chosen)), bool)

    def _nearest_right(self) -> tuple[np.ndarray, np.ndarray]:
        low, high = (np.full((len(self.rows), self.search.count), np.inf, np.float32) for _ in range(2))
        for rows, columns, distance, error in self.right():
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
        self.compare(np.arange(len(self.rows)), np.concatenate([columns[:first] for columns in groups]))
        for group, columns in enumerate(groups):
            for start in range(first, len(columns), chunk):
                undecided = self.answered[:, group] & (self.sure[:, group] < max(self.search.ranks))
                if not undecided.any():
                    break
                self.compare(np.flatnonzero(undecided), columns[start : start + chunk])
            self._settle(group, np.sort(columns))
        return np.where(self.answered, self.sure, NOBODY)

    def note(self, rows: np.ndarray, columns: np.ndarray, distance: np.ndarray, error: np.ndarray) -> None:
        groups = self.search.groups[columns]
        wrong = self.enrolled[columns, None] != self.people[rows]
        closer = wrong & (distance < self.low[rows][:, groups].T - error)
        unsure = wrong & ~closer & (distance <= self.limit[rows][:, groups].T + error)
        self.unsure[columns[:, None], rows] = unsure
        for group in np.unique(groups):
            self.sure[rows, group] += closer[groups == group].sum(0)

    def note_pairs(self, rows: np.ndarray, columns: np.ndarray, distance: np.ndarray, error: np.ndarray) -> None:
        groups = self.search.groups[columns]
        closer = distance < self.low[rows, groups] - error
        self.unsure[columns, rows] = ~closer & (distance <= self.limit[rows, groups] + error)
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
            distances = self.exact(row, right)
            nearest, place = distances.min(), right[distances.argmin()]
            open_ones = columns[unsure[:, row]]
            for part in np.split(open_ones, range(EXACT_ROWS, len(open_ones), EXACT_ROWS)):
                distance = self.exact(row, part)
                closer = (distance < nearest) | ((distance == nearest) & (part < place))
                self.sure[row, group] += closer.sum()
                if self.sure[row, group] >= max(self.search.ranks):
                    break
