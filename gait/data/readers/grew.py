"""Reading the form in which GREW is distributed, its archives unpacked (Zhu et al., ICCV 2021).

``train/00001/4XPn5Z28/*.png``, ``test/gallery/00001/79XJefi8/*.png`` and ``test/probe/etaGVnWf/*.png``: people are numbered
from 1 in training and in the test, and GREW does not publish whose the probes are. Names are those of OpenGait's pickles:
whoever trains is "00001train", walks of training are "00", the two of each enrolled person "01" and "02", and probes "03" of
"probe"; what is a view elsewhere is the walk's own name. There are no videos.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from gait.data.readers import Clip, Faults, pictures, tree
from gait.errors import DataError

TRAIN, GALLERY, PROBE = Path("train"), Path("test/gallery"), Path("test/probe")
UNKNOWN = "probe"  # whose the probes are
_PERSON = re.compile(r"[0-9]{5}")
_WALK = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_FRAME = re.compile(r".*?([0-9]+)\.png")


class Grew:
    """A :class:`gait.data.readers.Reader`; a unit is one walk, such as "00001/01/79XJefi8"."""

    fps = 25.0  # assumed: the dataset does not tell the rates of its cameras

    def __init__(self, root: Path) -> None:
        self._root = tree.beginning(root, lambda folder: (folder / TRAIN).is_dir() or (folder / GALLERY).is_dir())

    def identities(self) -> list[str]:
        people = sorted({unit.partition("/")[0] for unit in self.units()})
        if not people:
            raise DataError(f"{self._root}: holds no folder train/00001/... and no test/gallery/00001/...")
        return people

    def units(self) -> list[str]:
        return sorted(self._walks())

    def files(self, unit: str) -> list[Path]:
        return list(self._frames(unit).values())

    def names(self, unit: str) -> tuple[str, str, str]:
        identity, condition, walk = unit.split("/")
        return identity, condition, walk

    def strays(self) -> list[str]:
        names = []
        for part, form in ((TRAIN, _PERSON), (GALLERY, _PERSON), (PROBE, _WALK)):
            names += [f"{part}/{entry.name}" for entry in _entries(self._root / part) if not form.fullmatch(entry.name)]
        return names

    def unread(self, unit: str) -> list[Path]:
        return [Path(entry.path) for entry in _entries(self._folder(unit)) if not _FRAME.fullmatch(entry.name)]

    def clips(self, unit: str, faults: Faults) -> Iterator[Clip]:
        yield Clip(*self.names(unit), partial(pictures.read_silhouettes, self._frames(unit)))

    def expected(self) -> Iterator[str]:
        return iter(())

    def split(self) -> dict[str, list[str]]:
        return {}

    def _walks(self) -> Iterator[str]:
        for person in self._people(TRAIN):
            yield from (f"{person}train/00/{walk}" for walk in _names(self._root / TRAIN / person))
        for person in self._people(GALLERY):
            for number, walk in enumerate(_names(self._root / GALLERY / person), start=1):
                yield f"{person}/{number:02d}/{walk}"
        yield from (f"{UNKNOWN}/03/{walk}" for walk in _names(self._root / PROBE))

    def _people(self, part: Path) -> list[str]:
        return [name for name in _names(self._root / part) if _PERSON.fullmatch(name)]

    def _frames(self, unit: str) -> dict[int, Path]:
        files = ((_FRAME.fullmatch(entry.name), entry.path) for entry in _entries(self._folder(unit)))
        return {int(match[1]): Path(path) for match, path in files if match}

    def _folder(self, unit: str) -> Path:
        identity, _, walk = self.names(unit)
        if identity == UNKNOWN:
            return self._root / PROBE / walk
        part = TRAIN if identity.endswith("train") else GALLERY
        return self._root / part / identity.removesuffix("train") / walk


def open_dataset(root: Path) -> Grew:
    """A reader of the folder that holds train and test."""
    return Grew(root)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    return tree.entries(folder) if folder.is_dir() else []


def _names(folder: Path) -> list[str]:
    """The folders of people or walks in a folder; none if it is missing."""
    return [entry.name for entry in tree.folders(folder) if _WALK.fullmatch(entry.name)]
