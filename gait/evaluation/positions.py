"""The positions of the right sequences among all that are enrolled, from which every measure of retrieval follows.

A right sequence stands behind the wrong ones that are closer to the probe. The answer is that of a stable sort of all exact
distances: float32 with a bound on its rounding decides most comparisons, float64 those that it leaves unsure. Sequences that
are surely farther away than the farthest right one matter to no position, and projections spare comparing most of them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gait.data.prepared.sets import Distance
from gait.evaluation.blas import one_thread
from gait.evaluation.blocks import BLOCK_ROWS, BLOCK_SHARE, CHUNK_ROWS, CHUNK_SHARE, Block, Search, World, size_of


def positions(
    values: np.ndarray, search: Search, kind: Distance = "euclidean", threads: int = 1, pooled: bool = False
) -> np.ndarray:
    """Where the right sequences stand, counted from 1.

    Args:
        values: float32 [samples, parts, channels], signatures as the network gave them. They stay unchanged; the search
            needs about a quarter of their memory in addition.
        search: the probes and the gallery; its ranks do not matter.
        kind: the mean over parts of the Euclidean distance, or 1 minus the mean of the cosines.
        threads: the number of threads; the answer does not depend on it.
        pooled: search all groups together. A probe's excluded groups then lack its right sequences alone, and keep the wrong
            ones (Hou et al., T-BIOM 2023, whose groups are views).

    Returns:
        int32 [probes, groups, right ones], or [probes, 1, right ones] if ``pooled``: the positions in ascending order, and 0
        in place of those that a probe has fewer than others. It has none where its group is excluded.

    Raises:
        DataError: a signature is not finite.
    """
    most = _most_right(search, pooled)
    result = np.zeros((len(search.probe), 1 if pooled else search.count, most), np.int32)
    chunk = size_of(CHUNK_SHARE, len(values), threads, CHUNK_ROWS)
    size = size_of(BLOCK_SHARE, len(values), threads, BLOCK_ROWS)
    # A block keeps both bounds of the distance of each of its probes to all of the gallery.
    size = max(1, min(size, int(BLOCK_SHARE * values.nbytes / threads / (8 * max(1, len(search.gallery))))))
    with one_thread(), ThreadPoolExecutor(threads) as pool:
        world = World.of(values, search, kind)

        def answer(chosen: np.ndarray) -> None:
            result[chosen] = _Bounds(world, chosen, pooled).positions(chunk, most)

        for _ in pool.map(answer, search.blocks(size)):
            pass
    return result


def _most_right(search: Search, pooled: bool) -> int:
    """The greatest number of sequences that a probe's person has in a group or, pooled, in all."""
    enrolled = search.people[search.gallery]
    cells = enrolled if pooled else enrolled * search.count + search.groups
    return int(np.unique(cells[np.isin(enrolled, search.people[search.probe])], return_counts=True)[1].max(initial=0))


class _Bounds(Block):
    """A block of probes, and bounds of the distances of wrong sequences that may be closer than a right one.

    Attributes:
        low, high: float32 [gallery, probes]; inf where a sequence is right, or surely farther than all right ones.
    """

    def __init__(self, world: World, chosen: np.ndarray, pooled: bool) -> None:
        super().__init__(world, chosen)
        self.pooled = pooled
        self.excluded = self.search.excluded[chosen]
        self.low, self.high = (np.full((len(self.search.gallery), len(chosen)), np.inf, np.float32) for _ in range(2))
        self.limit = np.full(self.excluded.shape, -np.inf, np.float32)
        self.right_ones = list(self.right())
        for rows, columns, distance, error in self.right_ones:
            for group, most in zip(self.search.groups[columns].tolist(), distance + error, strict=True):
                farther = np.where(self.excluded[rows, group], -np.inf, most)
                self.limit[rows, group] = np.maximum(self.limit[rows, group], farther)
        if pooled:
            self.limit[:] = self.limit.max(1, keepdims=True)

    def positions(self, chunk: int, most: int) -> np.ndarray:
        """The block's rows of the function :func:`positions`; compares at most ``chunk`` gallery sequences at a time."""
        asked = np.flatnonzero((self.limit > -np.inf).any(1))
        if len(asked):
            for start in range(0, len(self.enrolled), chunk):
                self.compare(asked, np.arange(start, min(start + chunk, len(self.enrolled))))
        result = np.zeros((len(self.rows), 1 if self.pooled else self.search.count, most), np.int32)
        for rows, columns, distance, error in self.right_ones:
            groups = np.zeros_like(columns) if self.pooled else self.search.groups[columns]
            for group in np.unique(groups).tolist():
                of_group = groups == group
                error_of_group = error[of_group] if len(error) > 1 else error
                closer = self._closer(rows, columns[of_group], distance[of_group], error_of_group)
                there = ~self.excluded[rows][:, self.search.groups[columns[of_group]]].T
                # The n-th right one stands behind n - 1 right ones and the wrong ones that are closer.
                closer = np.sort(np.where(there, closer, np.iinfo(np.int64).max), 0)
                number = np.arange(1, len(closer) + 1)[:, None]
                answers = np.where(number <= there.sum(0), closer, -number) + number
                result[rows, group, : len(closer)] = answers.T
        return result

    def note(self, rows: np.ndarray, columns: np.ndarray, distance: np.ndarray, error: np.ndarray) -> None:
        wrong = self.enrolled[columns, None] != self.people[rows]
        place = columns[:, None], rows
        self.low[place] = np.where(wrong, distance - error, np.inf)
        self.high[place] = np.where(wrong, distance + error, np.inf)

    def note_pairs(self, rows: np.ndarray, columns: np.ndarray, distance: np.ndarray, error: np.ndarray) -> None:
        self.low[columns, rows], self.high[columns, rows] = distance - error, distance + error

    def _closer(self, rows: np.ndarray, right: np.ndarray, distance: np.ndarray, error: np.ndarray) -> np.ndarray:
        """How many wrong sequences are closer than the right ones of a group: [right, rows].

        Args:
            rows: places of probes of one person.
            right: their person's places in the gallery, in one group or, pooled, in any.
            distance, error: of the right ones: [right, rows], and what broadcasts to that.
        """
        group = self.search.groups[right[0]]
        columns = np.arange(len(self.enrolled)) if self.pooled else np.flatnonzero(self.search.groups == group)
        low, high = (bounds[columns[:, None], rows] for bounds in (self.low, self.high))
        counts = np.empty(distance.shape, np.int64)
        unsure = np.empty((len(right), len(columns), len(rows)), bool)
        for n, (least, most) in enumerate(zip(distance - error, distance + error, strict=True)):
            closer = high < least
            counts[n] = closer.sum(0)
            unsure[n] = (low <= most) & ~closer
        for row in np.flatnonzero(unsure.any((0, 1))).tolist():
            opened = unsure[:, :, row]
            ours, theirs = np.flatnonzero(opened.any(1)), np.flatnonzero(opened.any(0))
            far, wrong_far = (self.exact(rows[row], places) for places in (right[ours], columns[theirs]))
            nearer = (wrong_far < far[:, None]) | ((wrong_far == far[:, None]) & (columns[theirs] < right[ours][:, None]))
            counts[ours, row] += (nearer & opened[np.ix_(ours, theirs)]).sum(1)
        return counts
