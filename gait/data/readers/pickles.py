"""Reading aligned silhouettes from the pickles of other gait frameworks: ``identity/type/view/view.pkl``.

Each holds one array [frames, height, width], or a list of arrays [height, width]: whole numbers from 0 to 255 or 0 and 1,
truth values, or fractions from 0 to 1. The height is what the silhouettes were aligned to; columns may have been cut off at
both sides.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from gait.data.readers import Clip, Faults, pickled_arrays, tree

LARGEST_FILE = 2**28  # a walk of 720 frames of 64 x 64 px has 3 MB
ENDING = ".pkl"


class Pickles:
    """A :class:`gait.data.readers.Reader`; a unit is one walk in one view, such as "001/nm-01/090"."""

    fps: float | None = None

    def __init__(self, root: Path) -> None:
        self._root = tree.beginning(root, lambda folder: tree.has_people(folder, _walk))

    def identities(self) -> list[str]:
        return tree.identities(self._root, _walk)

    def units(self) -> list[str]:
        return tree.units(self._root, _walk)

    def names(self, unit: str) -> tuple[str, str, str] | None:
        return tree.walk(self._root, unit, [])

    def strays(self) -> list[str]:
        return tree.strays(self._root, _walk)

    def unread(self, unit: str) -> list[Path]:
        return tree.other_files(self._root / unit, (ENDING,))

    def files(self, unit: str) -> list[Path]:
        folder = self._root / unit
        pickle = folder / f"{folder.name}.pkl"
        if pickle.is_file():
            return [pickle]
        return [Path(entry.path) for entry in tree.entries(folder) if entry.name.endswith(ENDING)] if folder.is_dir() else []

    def clips(self, unit: str, faults: Faults) -> Iterator[Clip]:
        """The walk; none, and a fault, if its names do not fit or it has no pickle or several."""
        if (names := tree.walk(self._root, unit, faults)) is None:
            return
        files = self.files(unit)
        if len(files) == 1:
            yield Clip(*names, partial(_silhouettes, files[0]), aligned=True)
        else:
            faults.append(f"{self._root / unit}: left out, for it holds {len(files)} pickles")

    def expected(self) -> Iterator[str]:
        return iter(())

    def split(self) -> dict[str, list[str]]:
        return {}


def open_dataset(root: Path) -> Pickles:
    """A reader of the folder that holds a folder for each identity."""
    return Pickles(root)


def _walk(entry: os.DirEntry[str]) -> str | None:
    """The view of a walk in a condition's folder: a folder that holds a pickle or nothing; else None."""
    within = tree.entries(entry.path) if entry.is_dir() else None
    if within is None or (within and not any(inner.name.endswith(ENDING) for inner in within)):
        return None
    return entry.name


def _silhouettes(path: Path, faults: Faults) -> dict[int, np.ndarray]:
    try:
        size = path.stat().st_size
        if not path.is_file() or size > LARGEST_FILE:
            raise pickled_arrays.Refused(f"no file of at most {LARGEST_FILE >> 20} MiB")
        return dict(enumerate(pickled_arrays.read(path.read_bytes()), start=1))
    except (OSError, ValueError) as error:
        faults.append(f"{path}: not read ({error})")
        return {}
