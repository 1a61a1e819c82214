"""Datasets in the form in which they are distributed, behind one interface.

The module with a layout's name, with ``_`` for ``-``, reads it: its ``open_dataset(root)`` returns a :class:`Reader`.
That of a layout that may be pickles takes the pattern of the pickle's name too.
Readers unpack and copy nothing and open nothing outside ``root``. They skip and note what they cannot read.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gait.errors import DataError

if TYPE_CHECKING:
    import numpy as np

# The layouts by their names in params.yaml: those with a known frame rate, and those whose user gives it.
PUBLISHED = ("casia-b", "oumvlp", "tum-gaid", "gait3d", "grew", "ccpg", "sustech1k")
OWN = ("pickles", "folder")
# Those that may be pickles; their entry may say which of several pickles in a view is read.
PICKLED = ("pickles", "gait3d", "ccpg", "sustech1k")
LAYOUTS = (*PUBLISHED, *OWN)
Faults = list[str]


@dataclass(frozen=True)
class Clip:
    """One walk in one view. Its frames are read only when needed.

    Attributes:
        identity, condition, view: as the dataset names them, such as "001", "nm-01", "090".
        silhouettes: returns uint8 [height, width] frames, the person bright, by their number in the video, from 1. It leaves
            out what it cannot read, and adds that to its list of faults.
        video: returns the grey frames, uint8 [height, width], in order, for optical flow; None where a dataset has none.
        aligned: whether the silhouettes are known to be aligned and scaled already.
        made: whether the silhouettes come from background subtraction.
        rivals: says in how many frames something else that is about as large moves too, once silhouettes are made.
    """

    identity: str
    condition: str
    view: str
    silhouettes: Callable[[Faults], Mapping[int, np.ndarray]]
    video: Callable[[Faults], Sequence[np.ndarray]] | None = None
    aligned: bool = False
    made: bool = False
    rivals: Callable[[], int] = int

    @property
    def name(self) -> str:
        """The walk's name, such as "001-nm-01-090"."""
        return f"{self.identity}-{self.condition}-{self.view}"


class Reader(Protocol):
    """A dataset on disk.

    Attributes:
        fps: frames a second, where the dataset has one rate; None where its user must say.
    """

    fps: float | None

    def identities(self) -> list[str]:
        """All people who have a file or folder, sorted, also those without a usable walk.

        Raises:
            DataError: the folder is missing or holds nobody.
        """
        ...

    def units(self) -> list[str]:
        """Archives or walks that can be read independently of each other, sorted. Each name starts with its identity."""
        ...

    def files(self, unit: str) -> list[Path]:
        """The files that a unit is made of, sorted."""
        ...

    def clips(self, unit: str, faults: Faults) -> Iterator[Clip]:
        """The walks of a unit, ordered by condition and view; ``faults`` gets what is wrong with the unit as a whole."""
        ...

    def names(self, unit: str) -> tuple[str, str, str] | None:
        """Identity, condition and view of a unit; None if its name does not fit, or it has several walks."""
        ...

    def strays(self) -> list[str]:
        """Names of the entries in the dataset's folder that are no person and no walk, sorted."""
        ...

    def unread(self, unit: str) -> list[Path]:
        """Files in a unit's folder of a kind that is not read, sorted."""
        ...

    def expected(self) -> Iterator[str]:
        """Names of all walks that the published dataset has, such as "001-nm-01-090"; none where nothing is published."""
        ...

    def split(self) -> dict[str, list[str]]:
        """Identities of each part, where the dataset comes with lists of them; else empty."""
        ...


def open_dataset(layout: str, root: Path, pickle: str | None = None) -> Reader:
    """A reader of the dataset in the folder ``root``.

    Args:
        layout: one of LAYOUTS.
        root: the dataset's folder.
        pickle: which of several pickles in a view is read, as a pattern such as ``*-aligned-sils.pkl``; of PICKLED only.

    Raises:
        DataError: the folder is missing or holds no dataset of that layout.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    module = importlib.import_module(f"gait.data.readers.{layout.replace('-', '_')}")
    reader: Reader = module.open_dataset(root) if pickle is None else module.open_dataset(root, pickle)
    return reader
