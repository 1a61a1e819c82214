"""Reading a user's own data: folders ``identity/condition/view`` with pictures or a video of one walk.

What a view may be:
- a folder of silhouettes: pictures (PNG, JPEG, BMP, TIFF) of a bright person on black, whose outline may be grey;
- a folder of other pictures or of one video, or a video in its place (``view.avi``): of a fixed camera, so that the
  silhouettes come from background subtraction;
- a folder with ``silhouettes/*.png`` and a video or pictures, for those who have silhouettes and want optical flow too.

A sample of pictures, spread over a walk, decides which kind the walk has.

A frame's number is the last one in its name, from 0 or 1. If a name has none or two have the same, the reader counts frames.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from gait.data.readers import Clip, Faults, masks, pictures, tree
from gait.data.readers.foreground import Footage

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
VIDEOS = (
    *(".avi", ".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".wmv", ".flv", ".ogv"),
    *(".mpg", ".mpeg", ".ts", ".mts", ".m2ts"),
)
LOOKED_AT = 9  # pictures of a walk, which tell silhouettes from others


class Folder:
    """A :class:`gait.data.readers.Reader`; a unit is one walk in one view, such as "anna/coat/090"."""

    fps: float | None = None
    silhouettes: tuple[str, ...] = ("silhouettes",)  # folders of silhouettes in a view's; the first that is there is read

    def __init__(self, root: Path) -> None:
        self._root = tree.beginning(root, lambda folder: tree.has_people(folder, self._walk))

    def identities(self) -> list[str]:
        return tree.identities(self._root, self._walk)

    def units(self) -> list[str]:
        return tree.units(self._root, self._walk)

    def names(self, unit: str) -> tuple[str, str, str] | None:
        return self._named(unit, [])

    def strays(self) -> list[str]:
        return tree.strays(self._root, self._walk)

    def unread(self, unit: str) -> list[Path]:
        folder = self._root / unit
        kinds = PICTURES + VIDEOS
        apart = self._apart(folder)
        return tree.other_files(folder, kinds) + (tree.other_files(apart, PICTURES) if apart else [])

    def files(self, unit: str) -> list[Path]:
        silhouettes, frames, videos = self._content(unit)
        return sorted([*silhouettes, *frames, *videos])

    def clips(self, unit: str, faults: Faults) -> Iterator[Clip]:
        """The walk; none, and a fault, if its names do not fit or its files do not make clear which are the walk."""
        if (names := self._named(unit, faults)) is None:
            return
        silhouettes, frames, videos = self._content(unit)
        if len(videos) > 1 or (frames and videos):
            several = ", ".join(path.name for path in [*frames[:1], *videos])
            faults.append(f"{self._root / unit}: left out, for it is not clear which of these is the walk: {several}")
            return
        if not silhouettes and not videos and _are_silhouettes(self._root / unit, frames, faults):
            silhouettes, frames = frames, []
        read = partial(pictures.read_video, videos[0], colour=True) if videos else partial(pictures.read_frames, frames)
        footage = Footage(read)
        video = footage.video if frames or videos else None
        if silhouettes:
            yield Clip(*names, partial(pictures.read_silhouettes, _numbered(silhouettes)), video)
        else:
            yield Clip(*names, footage.silhouettes, video, made=True, rivals=lambda: footage.rivals)

    def expected(self) -> Iterator[str]:
        return iter(())

    def split(self) -> dict[str, list[str]]:
        return {}

    def _content(self, unit: str) -> tuple[list[Path], list[Path], list[Path]]:
        """A walk's silhouettes in a folder of their own, its other pictures, and its videos; each list in order."""
        folder = self._root / unit
        beside = files(folder.parent, VIDEOS)
        videos = [path for path in beside if path.stem == folder.name]
        if not folder.is_dir():
            return [], [], videos
        apart = self._apart(folder)
        within = files(folder, VIDEOS)
        return files(apart, PICTURES) if apart else [], files(folder, PICTURES), [*within, *videos]

    def _apart(self, folder: Path) -> Path | None:
        """The folder of a view's silhouettes, where they are in one of their own."""
        return next((folder / name for name in self.silhouettes if (folder / name).is_dir()), None)

    def _named(self, unit: str, faults: Faults) -> tuple[str, str, str] | None:
        return tree.walk(self._root, unit, faults)

    def _walk(self, entry: os.DirEntry[str]) -> str | None:
        """The view of a walk in a condition's folder: a video, a folder with a readable file, or an empty one; else None."""
        stem, kind = os.path.splitext(entry.name)
        if not entry.is_dir():
            return stem if kind.lower() in VIDEOS else None
        within = tree.entries(entry.path)
        readable = PICTURES + VIDEOS
        is_walk = not within or any(
            inner.name in self.silhouettes if inner.is_dir() else inner.name.lower().endswith(readable) for inner in within
        )
        return entry.name if is_walk else None


def open_dataset(root: Path) -> Folder:
    """A reader of the folder that holds a folder for each identity."""
    return Folder(root)


def files(folder: Path, kinds: tuple[str, ...]) -> list[Path]:
    """A folder's files with these endings, in natural order: 2 before 10."""
    names = [entry.name for entry in tree.entries(folder) if os.path.splitext(entry.name)[1].lower() in kinds]
    return [folder / name for name in sorted(names, key=_natural)]


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", name)]


def _numbered(paths: list[Path]) -> dict[int, Path]:
    """Pictures, in order, by the numbers of their frames, from 1."""
    last_numbers = [re.findall(r"[0-9]+", path.stem)[-1:] for path in paths]
    numbers = [int(last[0]) for last in last_numbers if last]
    if len(set(numbers)) != len(paths):
        numbers = list(range(1, len(paths) + 1))
    first = 0 if min(numbers, default=1) else 1
    return {number + first: path for number, path in zip(numbers, paths, strict=True)}


def _are_silhouettes(folder: Path, paths: list[Path], faults: Faults) -> bool:
    """Whether a walk's pictures are silhouettes, by a sample of those that can be read."""
    chosen = {round(place) for place in np.linspace(0, len(paths) - 1, LOOKED_AT)} if paths else ()
    contents = [pictures.read_picture(paths[place], [], pictures.LARGEST_COLOUR_PICTURE) for place in sorted(chosen)]
    shown = [frame for content in contents if content is not None and (frame := pictures.grey(content)) is not None]
    votes = masks.votes_of(shown)
    if 0 < votes.count(False) < len(votes):
        faults.append(f"{folder}: {votes.count(True)} of {len(votes)} pictures looked at are silhouettes, the others not")
    return bool(shown) and masks.shows_silhouettes(shown)
