"""The search of :mod:`gait.evaluation.ranking` by PyTorch on a device: with the same answer.

A GPU computes all distances in less time than it takes to find out which are needed. They are of float32 with a bound on the
rounding, of signatures of any length; where a rank depends on what the bound leaves open, the processor computes them again
in float64, as it does in its own search.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import torch

from gait.evaluation.distances import TINY, UNIT, Scaled, exact, rounding
from gait.evaluation.ranking import NOBODY, Search

PROBES = 1024  # at a time
LARGEST_TILE, LARGEST_ROWS = 1 << 27, 1 << 26  # distances of parts, and of whole signatures, held at once
EXACT_ROWS = 64


def closer_wrong(values: np.ndarray, search: Search, device: torch.device) -> np.ndarray:
    """What :func:`gait.evaluation.ranking.closer_wrong` says by Euclidean distance; above the largest rank it may count on.

    Args:
        values: float32 [samples, parts, channels], signatures of any length.
        search: who is looked for.
        device: that computes; memory for 2 GB of distances is needed.

    Raises:
        DataError: a signature is not finite.
    """
    result = np.full(search.excluded.shape, NOBODY)
    size = max(1, min(PROBES, LARGEST_ROWS // len(search.gallery)))
    with torch.inference_mode(), _whole_float32():
        scaled = Scaled.of(values, "euclidean")
        theirs = _Gallery(scaled, search, device)
        for start in range(0, len(search.probe), size):
            some = slice(start, min(start + size, len(search.probe)))
            result[some] = _Block(scaled, search, theirs, some).closer_wrong()
    return result


@contextmanager
def _whole_float32() -> Iterator[None]:
    """Within, products are of float32, not of TF32, for which the bound would be wrong."""
    allowed, torch.backends.cuda.matmul.allow_tf32 = torch.backends.cuda.matmul.allow_tf32, False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = allowed


def _points(scaled: Scaled, rows: np.ndarray, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Signatures [parts, rows, channels] on a device, and half of their squared lengths [parts, rows]."""
    points = scaled.taken(rows)
    values, halves = (torch.from_numpy(array).to(device) for array in (points.values, points.halves))
    return values.transpose(0, 1).contiguous(), halves.T.contiguous()


class _Gallery:
    """The enrolled signatures, kept on the device if half of its memory holds them, else sent again for each block.

    Attributes:
        rows: of the signatures, a column each; ``people``, whose they are, on the device.
        spans: the columns of each group.
    """

    def __init__(self, scaled: Scaled, search: Search, device: torch.device) -> None:
        values = scaled.values
        self.device, self.parts, self.channels = device, *values.shape[1:]
        # Group by group, each in its own order, which decides between equally close ones.
        order = np.argsort(search.groups, kind="stable")
        ends = np.searchsorted(search.groups[order], np.arange(search.count + 1)).tolist()
        self.spans = [slice(*each) for each in pairwise(ends)]
        self._scaled, self.rows = scaled, search.gallery[order]
        self.people = torch.from_numpy(np.asarray(search.people[self.rows])).to(device)
        size = values[:1].nbytes * len(search.gallery)
        room = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 2 * size
        self._keep = 2 * size <= room
        self._kept: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def tiles(self) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
        """Columns, and what :func:`_points` gives of them, so many at a time as can be compared with a block."""
        # One size for all blocks, though the last one has fewer probes.
        size = max(1, LARGEST_TILE // (self.parts * PROBES))
        for start in range(0, len(self.rows), size):
            columns = slice(start, min(start + size, len(self.rows)))
            points = self._kept.get(start) or _points(self._scaled, self.rows[columns], self.device)
            if self._keep:
                self._kept[start] = points
            yield columns, *points


class _Block:
    """Some of the probes, against the whole gallery."""

    def __init__(self, scaled: Scaled, search: Search, theirs: _Gallery, some: slice) -> None:
        self.scaled, self.search, self.theirs = scaled, search, theirs
        self.rows, self.excluded = search.probe[some], search.excluded[some]
        self.people = torch.from_numpy(np.asarray(search.people[self.rows])).to(theirs.device)

    def _distances(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Distances [probes, gallery], and how far those of each probe can be from the exact ones, [probes, 1]."""
        ours, halves = _points(self.scaled, self.rows, self.theirs.device)
        distance = torch.empty(len(self.rows), len(self.search.gallery), device=self.theirs.device)
        error = torch.zeros(len(self.rows), device=self.theirs.device)
        parts = self.theirs.parts
        for columns, theirs, their_halves in self.theirs.tiles():
            # Half of a squared distance, less rounding; a product is at most as long as the sum of both halves.
            half = (halves[:, :, None] + their_halves[:, None]).baddbmm_(ours, theirs.transpose(1, 2), alpha=-1)
            off = 2 * rounding(self.theirs.channels) * (halves + their_halves.amax(1, keepdim=True))
            off += self.theirs.channels * TINY
            root = half.abs_().sqrt_()
            # The root is off by that over the root, at most by the root of that.
            tile_error = (off / torch.maximum(root.amin(2), off.sqrt())).sum(0)
            distance[:, columns] = root.sum(0) * (2**0.5 / parts)
            error = torch.maximum(error, 2**0.5 / parts * tile_error)
        return distance, (error + 4 * (parts + 4) * UNIT * distance.amax(1))[:, None]

    def closer_wrong(self) -> np.ndarray:
        """For each probe and group, see the function of this name."""
        distance, error = self._distances()
        unsure = torch.zeros(distance.shape, dtype=torch.bool, device=distance.device)
        right = self.theirs.people == self.people[:, None]
        shape = len(self.rows), self.search.count
        there, sure, most = np.zeros(shape, bool), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for group, span in enumerate(self.theirs.spans):
            if span.start == span.stop:
                continue
            far, own = distance[:, span], right[:, span]
            nearest = far.masked_fill(~own, torch.inf).amin(1, keepdim=True)
            closer = ~own & (far < nearest - 2 * error)
            unsure[:, span] = ~own & ~closer & (far <= nearest + 2 * error)
            figures = torch.stack([torch.isfinite(nearest[:, 0]), closer.sum(1), unsure[:, span].sum(1)]).cpu().numpy()
            there[:, group], sure[:, group], most[:, group] = figures[0] > 0, figures[1], figures[1] + figures[2]
        answered = there & ~self.excluded
        matters = answered & np.any([(sure < rank) & (rank <= most) for rank in self.search.ranks], 0)
        asked = np.flatnonzero(matters.any(1))
        left_open = unsure[torch.from_numpy(asked).to(unsure.device)].cpu().numpy()
        for row, of_row in zip(asked.tolist(), left_open, strict=True):
            for group in np.flatnonzero(matters[row]).tolist():
                span = self.theirs.spans[group]
                sure[row, group] += self._settled(row, span, span.start + np.flatnonzero(of_row[span]))
        return np.where(answered, sure, NOBODY)

    def _settled(self, row: int, span: slice, columns: np.ndarray) -> int:
        """How many of these columns of a group are closer to a probe than the nearest right one, in float64."""
        enrolled = self.search.people[self.theirs.rows[span]]
        own = span.start + np.flatnonzero(enrolled == self.search.people[self.rows[row]])
        right = self._exact(row, own)
        nearest, place = right.min(), own[right.argmin()]
        found = self._exact(row, columns)
        return int(((found < nearest) | ((found == nearest) & (columns < place))).sum())

    def _exact(self, row: int, columns: np.ndarray) -> np.ndarray:
        values = self.scaled.values
        ours, rows = values[self.rows[row]], self.theirs.rows[columns]
        parts = np.split(rows, range(EXACT_ROWS, len(rows), EXACT_ROWS))
        return np.concatenate([exact(values, ours, part, "euclidean") for part in parts])
