"""Blocks of probes that are compared with the gallery together.

A block compares whole signatures only where their projections, which are never farther apart, leave open whether a sequence
matters. Its distances are in float32, each with the bound of its error; :func:`gait.evaluation.distances.exact` decides what
these leave unsure.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from gait.data.prepared.sets import Distance
from gait.evaluation.distances import Scaled, between, exact, of_pairs
from gait.evaluation.projections import Projection

# The most probes and gallery sequences at a time, and the largest shares of all signatures that they, being copies, may be.
BLOCK_ROWS, BLOCK_SHARE = 4096, 0.05
CHUNK_ROWS, CHUNK_SHARE = 256, 0.04
# What costs as much as one comparison in a matrix product: the product itself, copying a signature for it, and a comparison
# of one pair alone.
PRODUCT, COPY, PAIR = 300, 10, 8


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

    def blocks(self, size: int) -> list[np.ndarray]:
        """The places of the probes in blocks of at most this size, in which people's probes stand together."""
        order = np.argsort(self.people[self.probe], kind="stable")
        return np.split(order, range(size, len(order), size))


@dataclass(frozen=True)
class World:
    """What all blocks of a search share: the signatures as they are compared, the search, its distance, the projections."""

    scaled: Scaled
    search: Search
    kind: Distance
    projection: Projection | None

    @classmethod
    def of(cls, values: np.ndarray, search: Search, kind: Distance) -> Self:
        """Prepare float32 signatures [samples, parts, channels].

        Raises:
            DataError: a signature is not finite.
        """
        scaled = Scaled.of(values, kind)
        used = np.concatenate([search.gallery, search.probe])
        return cls(scaled, search, kind, Projection.of(scaled, used, search.gallery) if kind == "euclidean" else None)


def size_of(share: float, samples: int, threads: int, most: int) -> int:
    """How many signatures make up this share of all, for each of the threads; at least one and at most ``most``."""
    return int(np.clip(share * samples / threads, 1, most))


class Block(ABC):
    """A block of probes.

    Attributes:
        rows: [probes] the rows of the probes' signatures.
        people: [probes] their people.
        enrolled: [gallery] the people of the gallery.
        limit: float32 [probes, groups]; sequences that are farther away than this matter to no answer.
    """

    limit: np.ndarray

    def __init__(self, world: World, chosen: np.ndarray) -> None:
        self.world, self.search = world, world.search
        self.rows = self.search.probe[chosen]
        self.people, self.enrolled = self.search.people[self.rows], self.search.people[self.search.gallery]
        self.probes = world.scaled.taken(self.rows)
        self.shadows = world.projection and world.projection.of_probes(self.probes)

    @abstractmethod
    def note(self, rows: np.ndarray, columns: np.ndarray, distance: np.ndarray, error: np.ndarray) -> None:
        """Take the distances of these probes to these places in the gallery, whose people may be the probes' own.

        Args:
            rows: [rows] places in the block.
            columns: [columns] places in the gallery.
            distance, error: [columns, rows], and what broadcasts to that.
        """

    @abstractmethod
    def note_pairs(self, rows: np.ndarray, columns: np.ndarray, distance: np.ndarray, error: np.ndarray) -> None:
        """Take the distances of pairs of a probe and another person's sequence: all arguments are [pairs]."""

    def right(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """For each person the arguments of :meth:`note` of its probes and its places in the gallery."""
        return ((*places, *self._distances(*places)) for places in self.persons())

    def persons(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The places in the block and in the gallery of each person who has both."""
        for person in np.unique(self.people):
            rows, columns = np.flatnonzero(self.people == person), np.flatnonzero(self.enrolled == person)
            if len(columns):
                yield rows, columns

    def compare(self, rows: np.ndarray, columns: np.ndarray) -> None:
        """Note the distances of these probes to those of these places that are within the limit, or may be."""
        projection = self.world.projection
        if not projection or not self.shadows or not projection.pays:
            self.note(rows, columns, *self._distances(rows, columns))
            return
        bound, error = projection.bound(self.shadows, rows, columns)
        possible = bound <= self.limit[rows][:, self.search.groups[columns]].T + error
        possible &= self.enrolled[columns, None] != self.people[rows]
        projection.seen += possible.size
        for person in np.unique(self.people[rows]):
            of_person = np.flatnonzero(self.people[rows] == person)
            opened = possible[:, of_person]
            open_rows, open_columns = of_person[opened.any(0)], np.flatnonzero(opened.any(1))
            area = len(open_rows) * len(open_columns)
            if PAIR * np.count_nonzero(opened) > PRODUCT + COPY * len(open_columns) + area:
                some, others = rows[open_rows], columns[open_columns]
                self.note(some, others, *self._distances(some, others))
                projection.left += area
                possible[:, of_person] = False
        places, others = np.nonzero(possible)
        projection.left += len(places)
        pairs = rows[others], columns[places]
        scaled = self.world.scaled
        self.note_pairs(*pairs, *of_pairs(scaled.values, scaled.halves, self.rows[pairs[0]], self.search.gallery[pairs[1]]))

    def exact(self, row: int, columns: np.ndarray) -> np.ndarray:
        """The distances of a probe to these places in float64."""
        values = self.world.scaled.values
        return exact(values, values[self.rows[row]], self.search.gallery[columns], self.world.kind)

    def _distances(self, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        enrolled = self.world.scaled.taken(self.search.gallery[columns])
        everyone = len(rows) == len(self.rows)
        return between(self.probes, slice(None) if everyone else rows, enrolled, self.world.kind)
