"""Reading the form in which OU-MVLP is distributed, its archives unzipped.

``Silhouette_000-00/00001/0001.png`` and so on: view and walk, identity, frame (Takemura et al., IPSJ Trans. CVA 10:4, 2018).
A folder may have another of its own name around it, as unzipping makes them. There are no videos.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from gait.data.readers import Clip, Faults, pictures, tree
from gait.errors import DataError

CONDITIONS = ("00", "01")  # the walks, named as in the dataset
VIEWS = tuple(f"{degrees:03d}" for half in (0, 180) for degrees in range(half, half + 91, 15))
PEOPLE = 10307
_FOLDER = re.compile(r"Silhouette_([0-9]{3})-([0-9]{2})")
_IDENTITY = re.compile(r"[0-9]{5}")
_FRAME = re.compile(r"([0-9]{4})\.png")


class OuMvlp:
    """A :class:`gait.data.readers.Reader`; a unit is one walk in one view, such as "00001/00/000"."""

    fps = 25.0

    def __init__(self, root: Path) -> None:
        self._root = tree.beginning(root, _has_walks)

    def identities(self) -> list[str]:
        people = {identity for identity, _, _ in self._walks()}
        if not people:
            raise DataError(f"{self._root}: holds no folder Silhouette_000-00/00001 ...")
        return sorted(people)

    def units(self) -> list[str]:
        return sorted("/".join(walk) for walk in self._walks())

    def files(self, unit: str) -> list[Path]:
        return list(self._frames(unit).values())

    def names(self, unit: str) -> tuple[str, str, str]:
        identity, condition, view = unit.split("/")
        return identity, condition, view

    def strays(self) -> list[str]:
        names = []
        for folder in tree.entries(self._root):
            if not (_FOLDER.fullmatch(folder.name) and folder.is_dir()):
                names.append(folder.name)
                continue
            inner = tree.entries(_inner(Path(folder.path)))
            names += [f"{folder.name}/{entry.name}" for entry in inner if not _IDENTITY.fullmatch(entry.name)]
        return names

    def unread(self, unit: str) -> list[Path]:
        return [Path(entry.path) for entry in tree.entries(self._folder(unit)) if not _FRAME.fullmatch(entry.name)]

    def clips(self, unit: str, faults: Faults) -> Iterator[Clip]:
        identity, condition, view = unit.split("/")
        yield Clip(identity, condition, view, partial(pictures.read_silhouettes, self._frames(unit)))

    def expected(self) -> Iterator[str]:
        return (
            f"{person:05d}-{condition}-{view}"
            for person in range(1, PEOPLE + 1)
            for condition in CONDITIONS
            for view in VIEWS
        )

    def split(self) -> dict[str, list[str]]:
        return {}

    def _walks(self) -> Iterator[tuple[str, str, str]]:
        """Identity, condition and view of each walk's folder. There are 288,596, so the reader looks into none of them."""
        for folder in tree.entries(self._root):
            if (match := _FOLDER.fullmatch(folder.name)) and folder.is_dir():
                for person in tree.entries(_inner(Path(folder.path))):
                    if _IDENTITY.fullmatch(person.name) and person.is_dir():
                        yield person.name, match[2], match[1]

    def _frames(self, unit: str) -> dict[int, Path]:
        files = ((_FRAME.fullmatch(entry.name), entry.path) for entry in tree.entries(self._folder(unit)))
        return {int(match[1]): Path(path) for match, path in files if match}

    def _folder(self, unit: str) -> Path:
        identity, condition, view = unit.split("/")
        return _inner(self._root / f"Silhouette_{view}-{condition}") / identity


def open_dataset(root: Path) -> OuMvlp:
    """A reader of the folder that holds Silhouette_000-00 and so on."""
    return OuMvlp(root)


def _has_walks(folder: Path) -> bool:
    return any(_FOLDER.fullmatch(entry.name) for entry in tree.folders(folder))


def _inner(folder: Path) -> Path:
    """A folder, or the one of the same name in it."""
    return folder / folder.name if (folder / folder.name).is_dir() else folder
