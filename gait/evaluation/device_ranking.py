"""The search of :mod:`gait.evaluation.ranking` by PyTorch on a device, with the same answer.

A GPU computes all distances in less time than it takes to decide which are needed. It computes them in float32 with a bound
on the rounding, for signatures of any length. Where a rank depends on what the bound leaves open, the processor computes
them again in float64, as it does in its own search.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import torch

from gait.evaluation.blocks import Search
from gait.evaluation.distances import TINY, UNIT, Scaled, exact, rounding
from gait.evaluation.ranking import NOBODY

PROBES = 1024  # at a time
LARGEST_TILE, LARGEST_ROWS = 1 << 27, 1 << 26  # distances of parts, and of whole signatures, held at once
EXACT_ROWS = 64


def closer_wrong(values: np.ndarray, search: Search, device: torch.device) -> np.ndarray:
    """The counts of :func:`gait.evaluation.ranking.closer_wrong` by Euclidean distance.

    Counts of at least the largest rank may differ from those of that function.

    Args:
        values: float32 [samples, parts, channels], signatures of any length.
        search: the probes and the gallery.
        device: computes the distances, and needs memory for 2 GB of them.

    Raises:
        DataError: a signature is not finite.
    """
    result = np.full(search.excluded.shape, NOBODY)
    size = max(1, min(PROBES, LARGEST_ROWS // len(search.gallery)))
    with torch.inference_mode(), _whole_float32():
        scaled = Scaled.of(values, "euclidean")
        gallery = _Gallery(scaled, search, device)
        for start in range(0, len(search.probe), size):
            block = slice(start, min(start + size, len(search.probe)))
            result[block] = _Block(scaled, search, gallery, block).closer_wrong()
    return result


@contextmanager
def _whole_float32() -> Iterator[None]:
    """Within, products are computed in float32, not in TF32, for which the bound would be wrong."""
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
        rows: [columns] the row of each column's signature.
        people: [columns] the person of each column, on the device.
        spans: the columns of each group.
    """

    def __init__(self, scaled: Scaled, search: Search, device: torch.device) -> None:
        values = scaled.values
        self.device, self.parts, self.channels = device, *values.shape[1:]
        # Group by group, each in the gallery's order, which decides between equally close signatures.
        order = np.argsort(search.groups, kind="stable")
        ends = np.searchsorted(search.groups[order], np.arange(search.count + 1)).tolist()
        self.spans = [slice(start, stop) for start, stop in pairwise(ends)]
        self._scaled, self.rows = scaled, search.gallery[order]
        self.people = torch.from_numpy(np.asarray(search.people[self.rows])).to(device)
        size = values[:1].nbytes * len(search.gallery)
        room = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 2 * size
        self._keep = 2 * size <= room
        self._kept: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def tiles(self) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
        """Columns with what :func:`_points` returns for them, as many at a time as can be compared with a block."""
        # One size for all blocks, though the last one has fewer probes.
        size = max(1, LARGEST_TILE // (self.parts * PROBES))
        for start in range(0, len(self.rows), size):
            columns = slice(start, min(start + size, len(self.rows)))
            points = self._kept.get(start) or _points(self._scaled, self.rows[columns], self.device)
            if self._keep:
                self._kept[start] = points
            yield columns, *points


class _Block:
    """A block of probes against the whole gallery."""

    def __init__(self, scaled: Scaled, search: Search, gallery: _Gallery, block: slice) -> None:
        self.scaled, self.search, self.gallery = scaled, search, gallery
        self.rows, self.excluded = search.probe[block], search.excluded[block]
        self.people = torch.from_numpy(np.asarray(search.people[self.rows])).to(gallery.device)

    def _distances(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Distances [probes, gallery], and the bound of each probe's errors in them, [probes, 1]."""
        probes, halves = _points(self.scaled, self.rows, self.gallery.device)
        distance = torch.empty(len(self.rows), len(self.search.gallery), device=self.gallery.device)
        error = torch.zeros(len(self.rows), device=self.gallery.device)
        parts = self.gallery.parts
        for columns, enrolled, enrolled_halves in self.gallery.tiles():
            # Half of a squared distance, less rounding; a product is at most as long as the sum of both halves.
            half = (halves[:, :, None] + enrolled_halves[:, None]).baddbmm_(probes, enrolled.transpose(1, 2), alpha=-1)
            off = 2 * rounding(self.gallery.channels) * (halves + enrolled_halves.amax(1, keepdim=True))
            off += self.gallery.channels * TINY
            root = half.abs_().sqrt_()
            # The root is off by ``off`` over the root, and at most by the root of ``off``.
            tile_error = (off / torch.maximum(root.amin(2), off.sqrt())).sum(0)
            distance[:, columns] = root.sum(0) * (2**0.5 / parts)
            error = torch.maximum(error, 2**0.5 / parts * tile_error)
        return distance, (error + 4 * (parts + 4) * UNIT * distance.amax(1))[:, None]

    def closer_wrong(self) -> np.ndarray:
        """The block's rows of the function :func:`closer_wrong`."""
        distance, error = self._distances()
        unsure = torch.zeros(distance.shape, dtype=torch.bool, device=distance.device)
        right = self.gallery.people == self.people[:, None]
        shape = len(self.rows), self.search.count
        enrolled, sure, most = np.zeros(shape, bool), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for group, span in enumerate(self.gallery.spans):
            if span.start == span.stop:
                continue
            far, wrong = distance[:, span], ~right[:, span]
            nearest = far.masked_fill(wrong, torch.inf).amin(1, keepdim=True)
            closer = wrong & (far < nearest - 2 * error)
            unsure[:, span] = wrong & ~closer & (far <= nearest + 2 * error)
            figures = torch.stack([torch.isfinite(nearest[:, 0]), closer.sum(1), unsure[:, span].sum(1)]).cpu().numpy()
            enrolled[:, group], sure[:, group], most[:, group] = figures[0] > 0, figures[1], figures[1] + figures[2]
        answered = enrolled & ~self.excluded
        matters = answered & np.any([(sure < rank) & (rank <= most) for rank in self.search.ranks], 0)
        open_rows = np.flatnonzero(matters.any(1))
        unsure_columns = unsure[torch.from_numpy(open_rows).to(unsure.device)].cpu().numpy()
        for row, unsure_in_row in zip(open_rows.tolist(), unsure_columns, strict=True):
            for group in np.flatnonzero(matters[row]).tolist():
                span = self.gallery.spans[group]
                sure[row, group] += self._settled(row, span, span.start + np.flatnonzero(unsure_in_row[span]))
        return np.where(answered, sure, NOBODY)

    def _settled(self, row: int, span: slice, columns: np.ndarray) -> int:
        """The number of these columns of a group that are closer to a probe than the nearest right one, in float64."""
        enrolled = self.search.people[self.gallery.rows[span]]
        right = span.start + np.flatnonzero(enrolled == self.search.people[self.rows[row]])
        distances = self._exact(row, right)
        nearest, place = distances.min(), right[distances.argmin()]
        distance = self._exact(row, columns)
        return int(((distance < nearest) | ((distance == nearest) & (columns < place))).sum())

    def _exact(self, row: int, columns: np.ndarray) -> np.ndarray:
        values = self.scaled.values
        probe, rows = values[self.rows[row]], self.gallery.rows[columns]
        parts = np.split(rows, range(EXACT_ROWS, len(rows), EXACT_ROWS))
        return np.concatenate([exact(values, probe, part, "euclidean") for part in parts])
