"""Datasets in the form in which they are distributed, behind one interface.

A layout is read by the module of its name, with ``_`` for ``-``, whose ``open_dataset(root)`` gives a :class:`Reader`.
Nothing is unpacked or copied, nothing outside ``root`` is opened, and what cannot be read is skipped and noted.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from gait.errors import DataError

# The layouts as params.yaml names them: those that know their frame rate, and those whose user says it.
PUBLISHED = ("casia-b", "oumvlp", "tum-gaid")
OWN = ("pickles", "folder")
LAYOUTS = (*PUBLISHED, *OWN)
Faults = list[str]


@dataclass(frozen=True)
class Clip:
    """One walk in one view. The frames are read when asked for.

    Attributes:
        identity, condition, view: as the dataset names them, such as "001", "nm-01", "090".
        silhouettes: gives uint8 [height, width] frames, the person bright, by their number in the video, from 1; what cannot
            be read is left out and added to the list of faults given.
        video: gives the grey frames, uint8 [height, width], in order, for optical flow; None where a dataset has none.
        aligned: whether the silhouettes are known to be aligned and scaled already.
        made: whether the silhouettes come from background subtraction.
    """

    identity: str
    condition: str
    view: str
    silhouettes: Callable[[Faults], Mapping[int, np.ndarray]]
    video: Callable[[Faults], Sequence[np.ndarray]] | None = None
    aligned: bool = False
    made: bool = False

    @property
    def name(self) -> str:
        """Such as "001-nm-01-090"."""
        return f"{self.identity}-{self.condition}-{self.view}"


class Reader(Protocol):
    """A dataset on disk.

    Attributes:
        fps: frames a second, where the dataset has one rate; None where its user must say.
    """

    fps: float | None

    def identities(self) -> list[str]:
        """All people there is a file or folder of, sorted, also those without a usable walk.

        Raises:
            DataError: the folder is missing or holds nobody.
        """
        ...

    def units(self) -> list[str]:
        """What can be read independently of each other, sorted: archives or walks. Each starts with its identity."""
        ...

    def files(self, unit: str) -> list[Path]:
        """The files that a unit is made of, sorted."""
        ...

    def clips(self, unit: str, faults: Faults) -> Iterator[Clip]:
        """The walks of a unit, ordered by condition and view; what is wrong with the unit as a whole is added to faults."""
        ...

    def names(self, unit: str) -> tuple[str, str, str] | None:
        """Identity, condition and view of a unit; None if its name does not fit, or it has several walks."""
        ...

    def strays(self) -> list[str]:
        """Names of what is in the dataset's folder and taken for no person and no walk, sorted."""
        ...

    def unread(self, unit: str) -> list[Path]:
        """Files beside those of a unit that are of no kind that is read, sorted."""
        ...

    def expected(self) -> Iterator[str]:
        """Names of all walks that the published dataset has, such as "001-nm-01-090"; none where nothing is published."""
        ...

    def split(self) -> dict[str, list[str]]:
        """Identities of each part, where the dataset comes with lists of them; else empty."""
        ...


def open_dataset(layout: str, root: Path) -> Reader:
    """A reader of the dataset in the folder ``root``.

    Args:
        layout: one of LAYOUTS.
        root: where it is.

    Raises:
        DataError: the folder is missing or holds no dataset of that layout.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    reader: Reader = importlib.import_module(f"gait.data.readers.{layout.replace('-', '_')}").open_dataset(root)
    return reader
