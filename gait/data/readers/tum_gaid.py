"""Reading the form in which TUM-GAID is distributed: colour frames, or videos made of them, of a fixed camera.

Frames: ``image/p001/n05/*.jpg`` in the order of their names, and the empty place in ``image/p001/back/background.jpg``;
or videos ``video/p001-n05.avi`` (also in ``videos/`` or beside these folders). Identities of the parts are in
``tumgaidtrainids.lst`` and so on (Hofmann et al., J. Visual Communication and Image Representation 25:195, 2014).
Silhouettes come from background subtraction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from gait.data.readers import Clip, Faults, pictures, tree
from gait.data.readers.foreground import Footage
from gait.errors import DataError

VIEW = "090"
PEOPLE, RECORDED_TWICE = 305, 32
CONDITIONS = ("b01", "b02", "n01", "n02", "n03", "n04", "n05", "n06", "s01", "s02")
SECOND_CONDITIONS = ("b03", "b04", "n07", "n08", "n09", "n10", "n11", "n12", "s03", "s04")
IMAGES, BACKGROUND, LABELS = "image", "back", "labels"
VIDEO_FOLDERS = ("video", "videos", ".")
LISTS = {"train": "tumgaidtrainids.lst", "validation": "tumgaidvalids.lst", "test": "tumgaidtestids.lst"}
LARGEST_LIST = 2**16
_PERSON = re.compile(r"p([0-9]{3})")
_CONDITION = "|".join(sorted(CONDITIONS + SECOND_CONDITIONS))
_VIDEO = re.compile(rf"p([0-9]{{3}})-({_CONDITION})\.(?:avi|mp4)")
_FRAME = re.compile(r".+\.jpe?g", re.IGNORECASE)


class TumGaid:
    """A :class:`gait.data.readers.Reader`; a unit is one walk, such as "001/n05"."""

    fps = 30.0

    def __init__(self, root: Path) -> None:
        self._dataset = root
        self._root = tree.beginning(root, lambda folder: _images(folder) is not None or bool(_videos(folder)))
        self._images = _images(self._root) or self._root / IMAGES

    def identities(self) -> list[str]:
        people = {unit.partition("/")[0] for unit in self._videos()}
        people |= {identity for identity, _ in self._people()}
        if not people:
            raise DataError(f"{self._root}: holds no folder image/p001 ... and no video p001-n01.avi ...")
        return sorted(people)

    def units(self) -> list[str]:
        walks = {
            f"{identity}/{entry.name}"
            for identity, folder in self._people()
            for entry in tree.entries(folder)
            if re.fullmatch(_CONDITION, entry.name) and entry.is_dir()
        }
        return sorted(walks | self._videos())

    def files(self, unit: str) -> list[Path]:
        frames = self._frames(unit)
        if frames is None:
            return [path for path in self._paths(unit) if path.is_file()][:1]
        background = self._background(unit)
        return [*([background] if background.is_file() else []), *frames]

    def names(self, unit: str) -> tuple[str, str, str]:
        identity, condition = unit.split("/")
        return identity, condition, VIEW

    def strays(self) -> list[str]:
        expected = {*VIDEO_FOLDERS, *LISTS.values(), IMAGES, LABELS}
        names = []
        for entry in tree.entries(self._images) if self._images.is_dir() else []:
            if not (_PERSON.fullmatch(entry.name) and entry.is_dir()):
                is_expected = entry.name in expected or _VIDEO.fullmatch(entry.name)
                names += [] if is_expected else [entry.name]
                continue
            inner = (walk.name for walk in tree.entries(entry.path))
            names += [f"{entry.name}/{name}" for name in inner if name != BACKGROUND and not re.fullmatch(_CONDITION, name)]
        for folder in (self._root / name for name in VIDEO_FOLDERS[:-1]):
            files = tree.entries(folder) if folder.is_dir() else []
            names += [f"{folder.name}/{entry.name}" for entry in files if not _VIDEO.fullmatch(entry.name)]
        return sorted(names)

    def unread(self, unit: str) -> list[Path]:
        folder = self._images / f"p{unit}"
        files = tree.entries(folder) if folder.is_dir() else []
        return [Path(entry.path) for entry in files if not _FRAME.fullmatch(entry.name)]

    def clips(self, unit: str, faults: Faults) -> Iterator[Clip]:
        """The walk; if it has both frames and a video, the frames count."""
        identity, condition = unit.split("/")
        frames = self._frames(unit)
        if frames is None:
            path = next(filter(Path.is_file, self._paths(unit)), self._root)
            footage = Footage(partial(pictures.read_video, path, colour=True))
        else:
            footage = Footage(partial(pictures.read_frames, frames), partial(_read_background, self._background(unit)))
        yield Clip(identity, condition, VIEW, footage.silhouettes, footage.video)

    def expected(self) -> Iterator[str]:
        for person in range(1, PEOPLE + 1):
            conditions = CONDITIONS + (SECOND_CONDITIONS if person <= RECORDED_TWICE else ())
            yield from (f"{person:03d}-{condition}-{VIEW}" for condition in sorted(conditions))

    def split(self) -> dict[str, list[str]]:
        """Identities of "train", "validation" and "test", of those parts whose lists exist.

        Raises:
            DataError: a list holds anything but numbers of people.
        """
        parts = {}
        for part, name in LISTS.items():
            for path in (place / name for root in (self._root, self._dataset) for place in (root, root / LABELS)):
                if path.is_file() and part not in parts:
                    parts[part] = _read_list(path)
        return parts

    def _people(self) -> Iterator[tuple[str, str]]:
        """Identity and folder of each person who has frames."""
        for entry in tree.entries(self._images) if self._images.is_dir() else []:
            if (match := _PERSON.fullmatch(entry.name)) and entry.is_dir():
                yield match[1], entry.path

    def _videos(self) -> set[str]:
        """Units that have a video."""
        return _videos(self._root)

    def _paths(self, unit: str) -> list[Path]:
        """Where a unit's video may be."""
        name = f"p{unit.replace('/', '-')}"
        return [self._root / folder / f"{name}.{kind}" for folder in VIDEO_FOLDERS for kind in ("avi", "mp4")]

    def _frames(self, unit: str) -> list[Path] | None:
        """Frames in order; None if there is no folder of them."""
        folder = self._images / f"p{unit}"
        if not folder.is_dir():
            return None
        return [Path(entry.path) for entry in tree.entries(folder) if _FRAME.fullmatch(entry.name)]

    def _background(self, unit: str) -> Path:
        return self._images / f"p{unit.partition('/')[0]}" / BACKGROUND / "background.jpg"


def open_dataset(root: Path) -> TumGaid:
    """A reader of the folder that holds image/ or the videos, and the lists of identities."""
    return TumGaid(root)


def _images(root: Path) -> Path | None:
    """The folder that holds the people's folders: image/, also within another image/, or the dataset's own; else None."""
    places = (root / IMAGES, root / IMAGES / IMAGES, root)
    return next((place for place in places if any(_PERSON.fullmatch(entry.name) for entry in tree.folders(place))), None)


def _videos(root: Path) -> set[str]:
    """Units that have a video."""
    folders = [root / name for name in VIDEO_FOLDERS]
    names = [entry.name for folder in folders if folder.is_dir() for entry in tree.entries(folder) if entry.is_file()]
    return {f"{match[1]}/{match[2]}" for match in map(_VIDEO.fullmatch, names) if match}


def _read_background(path: Path, faults: Faults) -> np.ndarray | None:
    return next(iter(pictures.read_frames([path], faults)), None) if path.exists() else None


def _read_list(path: Path) -> list[str]:
    with path.open("rb") as file:
        words = file.read(LARGEST_LIST).split()
    if not words or not all(re.fullmatch(rb"[0-9]{1,3}", word) and 1 <= int(word) <= PEOPLE for word in words):
        raise DataError(f"{path}: is no list of numbers from 1 to {PEOPLE}, separated by spaces or lines")
    return sorted({f"{int(word):03d}" for word in words})
