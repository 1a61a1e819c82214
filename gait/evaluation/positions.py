"""The positions of the right sequences among all that are enrolled, from which every measure of retrieval follows.

A right sequence stands behind the wrong ones that are closer to the probe. The answer is that of a stable sort of all exact
distances. Right sequences are few, so their distances are in float64. Those of wrong ones are in float32 with a bound on its
rounding; sorted, they show how many are surely closer than each right one, and float64 decides on the few that are left.
Sequences that are surely farther away than the farthest right one matter to no position, and projections spare comparing
most of them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from gait.data.prepared.sets import Distance
from gait.evaluation.blas import one_thread
from gait.evaluation.blocks import BLOCK_ROWS, BLOCK_SHARE, CHUNK_ROWS, CHUNK_SHARE, Block, Search, World, size_of
from gait.evaluation.distances import nearly_exact


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
        # The bounds of errors are those of the longest that are compared together, so equally long ones are.
        order = np.argsort(world.scaled.halves[search.gallery].sum(1), kind="stable")

        def answer(chosen: np.ndarray) -> None:
            result[chosen] = _Distances(world, chosen, pooled).positions(order, chunk, most)

        for _ in pool.map(answer, search.blocks(size)):
            pass
    return result


def _most_right(search: Search, pooled: bool) -> int:
    """The greatest number of sequences that a probe's person has in a group or, pooled, in all."""
    enrolled = search.people[search.gallery]
    cells = enrolled if pooled else enrolled * search.count + search.groups
    return int(np.unique(cells[np.isin(enrolled, search.people[search.probe])], return_counts=True)[1].max(initial=0))


class _Right(NamedTuple):
    """The right sequences of a person's probes.

    Attributes:
        rows: [rows] the probes, as places in the block.
        columns: [columns] the sequences, as places in the gallery.
        distance, error: float64 [rows, columns] distances and the bounds of their errors; inf and 0 in excluded groups.
    """

    rows: np.ndarray
    columns: np.ndarray
    distance: np.ndarray
    error: np.ndarray


class _Distances(Block):
    """A block of probes, their distances to right sequences, and those to wrong ones that may be closer than a right one.

    Attributes:
        low, high: float32 [probes, gallery], bounds of distances; inf where a sequence is right, or surely farther than all
            right ones.
    """

    def __init__(self, world: World, chosen: np.ndarray, pooled: bool) -> None:
        super().__init__(world, chosen)
        self.pooled = pooled
        excluded = self.search.excluded[chosen]
        self.low, self.high = (np.full((len(chosen), len(self.enrolled)), np.inf, np.float32) for _ in range(2))
        self.limit = np.full(excluded.shape, -np.inf, np.float32)
        self.right_ones: list[_Right] = []
        self.unit = world.scaled.unit if world.kind == "euclidean" else 1.0
        for rows, columns in self.persons():
            places = self.rows[rows], self.search.gallery[columns]
            distance, error = nearly_exact(world.scaled.values, *places, world.kind)
            groups = self.search.groups[columns]
            absent = excluded[rows][:, groups]
            most = np.where(absent, -np.inf, self.unit * (distance + error)).astype(np.float32)
            for group, far in zip(groups.tolist(), np.nextafter(most, np.float32(np.inf)).T, strict=True):
                self.limit[rows, group] = np.maximum(self.limit[rows, group], far)
            distance[absent], error[absent] = np.inf, 0
            self.right_ones.append(_Right(rows, columns, distance, error))
        if pooled:
            self.limit[:] = self.limit.max(1, keepdims=True)

    def positions(self, order: np.ndarray, chunk: int, most: int) -> np.ndarray:
        """The block's rows of the function :func:`positions`.

        Args:
            order: the places in the gallery, in the order in which to compare them.
            chunk: the most gallery sequences to compare at a time.
            most: the greatest number of right ones.
        """
        asked = np.flatnonzero((self.limit > -np.inf).any(1))
        if len(asked):
            for start in range(0, len(order), chunk):
                self.compare(asked, np.sort(order[start : start + chunk]))
        groups = np.zeros_like(self.search.groups) if self.pooled else self.search.groups
        result = np.zeros((len(self.rows), 1 if self.pooled else self.search.count, most), np.int32)
        for right in self.right_ones:
            of_columns = groups[right.columns]
            for group in np.unique(of_columns).tolist():
                chosen, everyone = np.flatnonzero(of_columns == group), np.flatnonzero(groups == group)
                for number, row in enumerate(right.rows.tolist()):
                    there = chosen[right.distance[number, chosen] < np.inf]
                    measured = right.distance[number, there], right.error[number, there]
                    closer = self._closer(row, everyone, right.columns[there], *measured)
                    # The n-th right one stands behind n - 1 right ones and the wrong ones that are closer.
                    result[row, group, : len(there)] = np.sort(closer) + np.arange(1, len(there) + 1)
        return result

    def note(self, rows: np.ndarray, columns: np.ndarray, distance: np.ndarray, error: np.ndarray) -> None:
        wrong = self.enrolled[columns, None] != self.people[rows]
        places = rows, columns[:, None]
        self.low[places] = np.where(wrong, distance - error, np.inf)
        self.high[places] = np.where(wrong, distance + error, np.inf)

    def note_pairs(self, rows: np.ndarray, columns: np.ndarray, distance: np.ndarray, error: np.ndarray) -> None:
        self.low[rows, columns], self.high[rows, columns] = distance - error, distance + error

    def _closer(
        self, row: int, columns: np.ndarray, right: np.ndarray, distance: np.ndarray, error: np.ndarray
    ) -> np.ndarray:
        """How many wrong sequences among some are closer than right ones of a probe: [right].

        Args:
            row: the probe's place in the block.
            columns: the places in the gallery of all sequences among which it is looked for.
            right, distance, error: [right] those of right ones, their distances, and the bounds of the errors.
        """
        low, high = self.low[row, columns], self.high[row, columns]
        least, most = self.unit * (distance - error), self.unit * (distance + error)
        closer = np.searchsorted(np.sort(high), least)
        unsure = np.flatnonzero(np.searchsorted(np.sort(low), most, "right") > closer)
        if len(unsure):
            opened = (low <= most[unsure, None]) & (high >= least[unsure, None])
            others = np.flatnonzero(opened.any(0))
            theirs, ours = self.exact(row, columns[others]), distance[unsure]
            tied = (np.abs(theirs - ours[:, None]) <= error[unsure, None]).any(1)
            if tied.any():
                ours[tied] = self.exact(row, right[unsure[tied]])
            ours, places = ours[:, None], right[unsure, None]
            nearer = (theirs < ours) | ((theirs == ours) & (columns[others] < places))
            closer[unsure] += (nearer & opened[:, others]).sum(1)
        return closer
