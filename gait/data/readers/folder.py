"""Reading a user's own data: folders ``identity/condition/view`` with pictures or a video of one walk.

What a view may be:
- a folder of silhouettes: PNG files with black and white only;
- a folder of other pictures (PNG, JPEG, BMP) or of one video, or a video in its place (``view.avi``): of a fixed camera, so
  that the silhouettes come from background subtraction;
- a folder with ``silhouettes/*.png`` and a video or pictures, for those who have silhouettes and want optical flow too.

A frame's number is the last one in its name, from 0 or 1; where a name has none or two have the same, frames are counted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from gait.data.readers import Clip, Faults, pictures, tree
from gait.data.readers.foreground import Footage

PICTURES = (".png", ".jpg", ".jpeg", ".bmp")
VIDEOS = (".avi", ".mp4", ".mkv", ".mov", ".mpg", ".webm")
SILHOUETTES = "silhouettes"


class Folder:
    """A :class:`gait.data.readers.Reader`; a unit is one walk in one view, such as "anna/coat/090"."""

    fps = None

    def __init__(self, root: Path) -> None:
        self._root = root

    def identities(self) -> list[str]:
        return tree.identities(self._root)

    def units(self) -> list[str]:
        return tree.units(self._root, _view)

    def files(self, unit: str) -> list[Path]:
        silhouettes, frames, videos = self._content(unit)
        return sorted([*silhouettes, *frames, *videos])

    def clips(self, unit: str, faults: Faults) -> Iterator[Clip]:
        """The walk; none, and a fault, where the names do not fit or it is not clear which files it is made of."""
        if (names := tree.walk(self._root, unit, faults)) is None:
            return
        silhouettes, frames, videos = self._content(unit)
        if len(videos) > 1 or (frames and videos):
            several = ", ".join(path.name for path in [*frames[:1], *videos])
            faults.append(f"{self._root / unit}: left out, for it is not clear which of these is the walk: {several}")
            return
        if not silhouettes and not videos and _black_and_white(frames):
            silhouettes, frames = frames, []
        read = partial(pictures.read_video, videos[0], colour=True) if videos else partial(pictures.read_frames, frames)
        footage = Footage(read)
        video = footage.video if frames or videos else None
        if silhouettes:
            yield Clip(*names, partial(pictures.read_silhouettes, _numbered(silhouettes)), video)
        else:
            yield Clip(*names, footage.silhouettes, video)

    def expected(self) -> Iterator[str]:
        return iter(())

    def split(self) -> dict[str, list[str]]:
        return {}

    def _content(self, unit: str) -> tuple[list[Path], list[Path], list[Path]]:
        """Silhouettes in a folder of their own, pictures and videos of a walk, each in order."""
        folder = self._root / unit
        beside = _files(folder.parent, VIDEOS)
        videos = [path for path in beside if path.stem == folder.name]
        if not folder.is_dir():
            return [], [], videos
        own = folder / SILHOUETTES
        within = _files(folder, VIDEOS)
        return _files(own, (".png",)) if own.is_dir() else [], _files(folder, PICTURES), [*within, *videos]


def open_dataset(root: Path) -> Folder:
    """A reader of the folder that holds a folder for each identity."""
    return Folder(root)


def _view(entry: os.DirEntry[str]) -> str | None:
    if entry.is_dir():
        return entry.name
    stem, kind = os.path.splitext(entry.name)
    return stem if kind.lower() in VIDEOS and entry.is_file() else None


def _files(folder: Path, kinds: tuple[str, ...]) -> list[Path]:
    """Files with some endings in natural order: 2 before 10."""
    names = [entry.name for entry in tree.entries(folder) if os.path.splitext(entry.name)[1].lower() in kinds]
    return [folder / name for name in sorted(names, key=_natural)]


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", name)]


def _numbered(paths: list[Path]) -> dict[int, Path]:
    """Pictures, in order, by the numbers of their frames, from 1."""
    found = [re.findall(r"[0-9]+", path.stem)[-1:] for path in paths]
    numbers = [int(last[0]) for last in found if last]
    if len(set(numbers)) != len(paths):
        numbers = list(range(1, len(paths) + 1))
    first = 0 if min(numbers, default=1) else 1
    return {number + first: path for number, path in zip(numbers, paths, strict=True)}


def _black_and_white(paths: list[Path]) -> bool:
    """Whether pictures are silhouettes, by the first, the middle and the last of them that can be read."""
    if not paths or any(path.suffix.lower() != ".png" for path in paths):
        return False
    shown = [frame for path in (paths[0], paths[len(paths) // 2], paths[-1]) for frame in pictures.read_frames([path], [])]
    return bool(shown) and all(_is_silhouette(frame) for frame in shown)


def _is_silhouette(frame: np.ndarray) -> bool:
    return bool(((frame == 0) | (frame == 255)).all() and (frame == frame[:, :, :1]).all())
