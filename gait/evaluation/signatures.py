"""The signatures of many sequences in one array."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np

from gait.errors import DataError

BLOCK_BYTES = 8 << 20


class Signatures:
    """Signatures of many sequences, one or more samples each; made by :meth:`collect`.

    Attributes:
        values: float32 [samples, parts, channels]; on disk, in a file without a name that goes with this object, if it
            would take more than half of the machine's memory.
        positions: int64 [samples], for each sample the position of its sequence in the store.
    """

    def __init__(self, values: np.ndarray, positions: np.ndarray) -> None:
        self.values, self.positions = values, positions
        self._averaged: Signatures | None = None

    @classmethod
    def collect(cls, positions: Sequence[int], outputs: Iterable[np.ndarray]) -> Self:
        """The signatures from a network's outputs, which are taken one after the other.

        Args:
            positions: for each sample, the position of its sequence.
            outputs: arrays [n, parts, channels], together one row for each of ``positions``.

        Raises:
            DataError: there is no sample, or no room for all.
            ValueError: there are more or fewer rows than positions, or their shapes differ.
        """
        values, row = np.empty((0, 0, 0), np.float32), 0
        for output in outputs:
            if not values.size:
                values = _empty_array((len(positions), *output.shape[1:]))
            if output.shape[1:] != values.shape[1:] or row + len(output) > len(values):
                raise ValueError(f"outputs {list(output.shape)} from row {row} do not fit {list(values.shape)}")
            values[row : row + len(output)] = output
            row += len(output)
        if not row:
            raise DataError("nothing to evaluate: there are no sequences")
        if row != len(values):
            raise ValueError(f"{row} signatures for {len(values)} samples")
        return cls(values, np.asarray(positions, np.int64))

    def averaged(self) -> Signatures:
        """One signature a sequence, the mean of its samples; this object itself if every sequence has one sample.

        The mean is of the unscaled outputs of the network; a distance that scales signatures to length 1 scales their mean.
        The published protocols of silhouettes need no mean, since a whole sequence is one sample there. A sequence with
        several samples has windows.
        """
        if self._averaged is None:
            sequences, first, counts = np.unique(self.positions, return_index=True, return_counts=True)
            if len(sequences) == len(self.positions):
                return self
            order = np.argsort(self.positions, kind="stable")
            rows = np.split(order, np.cumsum(counts)[:-1])
            means = (self.values[rows[index]].mean(0, keepdims=True) for index in np.argsort(first))
            self._averaged = Signatures.collect(sequences[np.argsort(first)].tolist(), means)
        return self._averaged


def blocks(values: np.ndarray) -> Iterable[np.ndarray]:
    """Views of a few megabytes, which together are ``values`` [samples, ...]."""
    size = max(1, BLOCK_BYTES // max(1, values[:1].nbytes))
    return (values[start : start + size] for start in range(0, len(values), size))


def _empty_array(shape: tuple[int, ...]) -> np.ndarray:
    """A float32 array, in memory or, if it would fill more than half of that, in a file without a name."""
    size = 4 * int(np.prod(shape))
    if 2 * size <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
        return np.empty(shape, np.float32)
    with tempfile.TemporaryFile() as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            raise DataError(
                f"{size / 1e9:.1f} GB of signatures fit neither half of the memory nor {tempfile.gettempdir()} "
                f"({error.strerror}); let TMPDIR name a folder on a larger disk"
            ) from None
        return np.memmap(file, np.float32, "r+", shape=shape)
