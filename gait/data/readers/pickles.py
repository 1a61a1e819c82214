"""Reading aligned silhouettes from the pickles of other gait frameworks: ``identity/type/view/view.pkl``.

Each holds one array, uint8 [frames, height, width], or a list of arrays [height, width].
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from gait.data.readers import Clip, Faults, pickled_arrays, tree

LARGEST_FILE = 2**28  # a walk of 720 frames of 64 x 64 px has 3 MB


class Pickles:
    """A :class:`gait.data.readers.Reader`; a unit is one walk in one view, such as "001/nm-01/090"."""

    fps = None

    def __init__(self, root: Path) -> None:
        self._root = root

    def identities(self) -> list[str]:
        return tree.identities(self._root)

    def units(self) -> list[str]:
        return tree.units(self._root, lambda entry: entry.name if entry.is_dir() else None)

    def files(self, unit: str) -> list[Path]:
        folder = self._root / unit
        own = folder / f"{folder.name}.pkl"
        if own.is_file():
            return [own]
        return [Path(entry.path) for entry in tree.entries(folder) if entry.name.endswith(".pkl")] if folder.is_dir() else []

    def clips(self, unit: str, faults: Faults) -> Iterator[Clip]:
        """The walk; none, and a fault, where the names do not fit or there is not one pickle."""
        if (names := tree.walk(self._root, unit, faults)) is None:
            return
        found = self.files(unit)
        if len(found) == 1:
            yield Clip(*names, partial(_silhouettes, found[0]), aligned=True)
        else:
            faults.append(f"{self._root / unit}: left out, for it holds {len(found)} pickles")

    def expected(self) -> Iterator[str]:
        return iter(())

    def split(self) -> dict[str, list[str]]:
        return {}


def open_dataset(root: Path) -> Pickles:
    """A reader of the folder that holds a folder for each identity."""
    return Pickles(root)


def _silhouettes(path: Path, faults: Faults) -> dict[int, np.ndarray]:
    try:
        size = path.stat().st_size
        if not path.is_file() or size > LARGEST_FILE:
            raise pickled_arrays.Refused(f"no file of at most {LARGEST_FILE >> 20} MiB")
        return dict(enumerate(pickled_arrays.read(path.read_bytes()), start=1))
    except (OSError, ValueError) as error:
        faults.append(f"{path}: not read ({error})")
        return {}
