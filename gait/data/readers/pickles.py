"""Reading aligned silhouettes from the pickles of other gait frameworks: ``identity/type/view/view.pkl``.

Each holds one array [frames, height, width], or a list of arrays [height, width]: whole numbers from 0 to 255 or 0 and 1,
truth values, or fractions from 0 to 1. The height is what the silhouettes were aligned to; columns may have been cut off at
both sides.

Frameworks write several kinds of data of a walk beside each other (``090-aligned-sils.pkl``, ``090-rgbs.pkl``). A pattern,
as of file names in a shell, says which pickle is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

import numpy as np

from gait.data.readers import Clip, Faults, pickled_arrays, tree
from gait.errors import DataError

LARGEST_FILE = 2**28  # a walk of 720 frames of 64 x 64 px has 3 MB
ENDING = ".pkl"


class Pickles:
    """A :class:`gait.data.readers.Reader`; a unit is one walk in one view, such as "001/nm-01/090"."""

    fps: float | None = None
    usual: str | None = None  # the pattern of the pickle that is read where there is one, and the user gives no pattern

    def __init__(self, root: Path, pattern: str | None = None) -> None:
        self._root = tree.beginning(root, lambda folder: tree.has_people(folder, _walk))
        self._pattern = pattern

    def identities(self) -> list[str]:
        names = tree.identities(self._root, _walk)
        self._check_choice()
        return names

    def units(self) -> list[str]:
        return tree.units(self._root, _walk)

    def names(self, unit: str) -> tuple[str, str, str] | None:
        return self._named(unit, [])

    def strays(self) -> list[str]:
        return tree.strays(self._root, _walk)

    def unread(self, unit: str) -> list[Path]:
        return tree.other_files(self._root / unit, (ENDING,))

    def files(self, unit: str) -> list[Path]:
        there = self._pickles(unit)
        if self._pattern is not None:
            return [path for path in there if fnmatchcase(path.name, self._pattern)]
        usual = [path for path in there if self.usual is not None and fnmatchcase(path.name, self.usual)]
        named = [path for path in there if path.stem == path.parent.name and path.is_file()]
        return usual or named or there

    def clips(self, unit: str, faults: Faults) -> Iterator[Clip]:
        """The walk; none, and a fault, if its names do not fit or not one of its pickles is the one to read."""
        if (names := self._named(unit, faults)) is None:
            return
        files = self.files(unit)
        if len(files) == 1:
            yield Clip(*names, partial(_silhouettes, files[0]), aligned=True)
        else:
            faults.append(f"{self._root / unit}: left out, for {self._why(unit)}")

    def expected(self) -> Iterator[str]:
        return iter(())

    def split(self) -> dict[str, list[str]]:
        return {}

    def _named(self, unit: str, faults: Faults) -> tuple[str, str, str] | None:
        return tree.walk(self._root, unit, faults)

    def _pickles(self, unit: str) -> list[Path]:
        folder = self._root / unit
        return [Path(entry.path) for entry in tree.entries(folder) if entry.name.endswith(ENDING)] if folder.is_dir() else []

    def _check_choice(self) -> None:
        """Fail where there are pickles, and of no walk exactly one is the one to read.

        Raises:
            DataError: its message lists the pickles of a walk.
        """
        undecided = None
        for unit in tree.each_unit(self._root, _walk):
            if len(self.files(unit)) == 1:
                return
            undecided = undecided or (unit if self._pickles(unit) else None)
        if undecided is not None:
            raise DataError(f"{self._root / undecided}: {self._why(undecided)}; set `pickle` in the dataset's entry")

    def _why(self, unit: str) -> str:
        """Why it is not clear which pickle of a walk is read, with the names of all that there are."""
        there, chosen = (", ".join(path.name for path in paths) for paths in (self._pickles(unit), self.files(unit)))
        if not there:
            return "it holds no pickle"
        if self._pattern is None:
            return f"it holds several pickles ({there}), and nothing says which of them is the walk"
        fitting = f"several of its pickles ({chosen})" if chosen else f"none of its pickles ({there})"
        return f"pickle = {self._pattern} fits {fitting}"


def open_dataset(root: Path, pattern: str | None = None) -> Pickles:
    """A reader of the folder that holds a folder for each identity; ``pattern`` says which of several pickles is read."""
    return Pickles(root, pattern)


def there_are(root: Path) -> bool:
    """Whether a folder holds a tree of pickles, not of other files."""

    def begins(folder: Path) -> bool:
        return tree.has_people(folder, _with_pickle)

    return begins(tree.beginning(root, begins))


def _walk(entry: os.DirEntry[str]) -> str | None:
    """The view of a walk in a condition's folder: a folder that holds a pickle or nothing; else None."""
    return _with_pickle(entry) or (entry.name if entry.is_dir() and not tree.entries(entry.path) else None)


def _with_pickle(entry: os.DirEntry[str]) -> str | None:
    return entry.name if entry.is_dir() and any(inner.name.endswith(ENDING) for inner in tree.entries(entry.path)) else None


def _silhouettes(path: Path, faults: Faults) -> dict[int, np.ndarray]:
    try:
        size = path.stat().st_size
        if not path.is_file() or size > LARGEST_FILE:
            raise pickled_arrays.Refused(f"no file of at most {LARGEST_FILE >> 20} MiB")
        return dict(enumerate(pickled_arrays.read(path.read_bytes()), start=1))
    except (OSError, ValueError) as error:
        faults.append(f"{path}: not read ({error})")
        return {}
