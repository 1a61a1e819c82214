"""Reading and writing the form in which CASIA-B is distributed.

Silhouettes: ``GaitDatasetB-silh/001.tar.gz`` (or a folder ``001``) with ``001/nm-01/090/001-nm-01-090-001.png`` and so on;
videos: ``DatasetB-video/001-nm-01-090.avi``. The people may also be in the dataset's own folder or in one of another name.
Archives are read as a stream and never unpacked. All that is not such a picture is ignored, so that no path in an archive
reaches the file system.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from gait.data.readers import Clip, Faults, archives, pictures, tree
from gait.errors import DataError

SILHOUETTES, VIDEOS = "GaitDatasetB-silh", "DatasetB-video"
CONDITIONS = tuple(
    f"{kind}-{number:02d}" for kind, count in (("nm", 6), ("bg", 2), ("cl", 2)) for number in range(1, count + 1)
)
VIEWS = tuple(f"{degrees:03d}" for degrees in range(0, 181, 18))
PEOPLE = 124
_FOLDER = re.compile(r"(?:\./)?([0-9]{3})/((?:nm|bg|cl)-[0-9]{2})/([0-9]{3})/?")
_CONDITION = re.compile(r"(?:nm|bg|cl)-[0-9]{2}")
_MEMBER = re.compile(_FOLDER.pattern.removesuffix("?") + r"\1-\2-\3-([0-9]{1,9})\.png")
PNG_SETTINGS = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]  # the fastest


class CasiaB:
    """A :class:`gait.data.readers.Reader`; a unit is a person's archive or folder, named by their identity."""

    fps = 25.0

    def __init__(self, root: Path) -> None:
        self._silhouettes = root / SILHOUETTES
        if not _has_people(self._silhouettes):
            folder = tree.beginning(root, _has_people)
            self._silhouettes = folder if _has_people(folder) else self._silhouettes
        beside = self._silhouettes.parent / VIDEOS
        self._videos = beside if beside.is_dir() and not (root / VIDEOS).is_dir() else root / VIDEOS

    def identities(self) -> list[str]:
        if not self._silhouettes.is_dir():
            raise DataError(f"{self._silhouettes}: no such folder")
        people = {name[:3] for entry in os.scandir(self._silhouettes) if (name := _person(entry))}
        if not people:
            raise DataError(f"{self._silhouettes}: holds no 001.tar.gz ... and no folder 001 ...")
        return sorted(people)

    def units(self) -> list[str]:
        return self.identities()

    def files(self, unit: str) -> list[Path]:
        archive = self._archive(unit)
        pictured = [archive] if archive.is_file() else sorted(_folder_of(self._silhouettes, unit).glob("*/*/*.png"))
        return [*pictured, *sorted(self._videos.glob(f"{unit}-*.avi"))]

    def names(self, unit: str) -> None:
        """None: a person's walks are known only when their archive is read."""

    def strays(self) -> list[str]:
        expected = {SILHOUETTES, VIDEOS}
        return [
            entry.name
            for entry in tree.entries(self._silhouettes)
            if not _person(entry) and not (entry.is_dir() and entry.name in expected)
        ]

    def unread(self, unit: str) -> list[Path]:
        folder = _folder_of(self._silhouettes, unit)
        if self._archive(unit).is_file():
            return []
        files = (path for path in sorted(folder.glob("*/*/*")) if not path.name.startswith("."))
        return [path for path in files if not _MEMBER.fullmatch(path.relative_to(folder.parent).as_posix())]

    def clips(self, unit: str, faults: Faults) -> Iterator[Clip]:
        """A person's walks.

        A damaged archive gives the pictures before the damage. A walk with an empty folder has no pictures. If a person has
        both an archive and a folder, the archive counts.
        """
        walks: dict[tuple[str, str], dict[int, bytes]] = {}
        archive = self._archive(unit)
        if archive.is_file():
            entries = archives.files_and_folders(archive, pictures.LARGEST_PICTURE, faults)
        else:
            entries = _from_folder(self._silhouettes, unit, faults)
        for path, data in entries:
            match = (_FOLDER if data is None else _MEMBER).fullmatch(path)
            if match and match[1] == unit:
                frames = walks.setdefault((match[2], match[3]), {})
                if data is not None:
                    frames[int(match[4])] = data
        for condition, view in sorted(walks):
            walk = f"{unit}-{condition}-{view}"
            frames = walks.pop((condition, view))
            names = {number: f"{walk}-{number:03d}.png" for number in frames}
            video = partial(pictures.read_video, self._videos / f"{walk}.avi") if self._videos.is_dir() else None
            yield Clip(unit, condition, view, partial(pictures.silhouettes, frames, names), video)

    def expected(self) -> Iterator[str]:
        return (
            f"{person:03d}-{condition}-{view}"
            for person in range(1, PEOPLE + 1)
            for condition in CONDITIONS
            for view in VIEWS
        )

    def split(self) -> dict[str, list[str]]:
        return {}

    def _archive(self, identity: str) -> Path:
        return self._silhouettes / f"{identity}.tar.gz"


def open_dataset(root: Path) -> CasiaB:
    """A reader of the folder that holds GaitDatasetB-silh and, for optical flow, DatasetB-video."""
    return CasiaB(root)


def _person(entry: os.DirEntry[str]) -> str | None:
    """The name of a person's archive or folder; None if an entry is neither."""
    archive = re.fullmatch(r"[0-9]{3}\.tar\.gz", entry.name) and entry.is_file()
    return entry.name if archive or (re.fullmatch(r"[0-9]{3}", entry.name) and entry.is_dir()) else None


def _has_people(folder: Path) -> bool:
    """Whether a folder holds a person's archive, or a person's folder with the folder of a walking condition."""
    people = (entry for entry in (tree.entries(folder) if folder.is_dir() else ()) if _person(entry))
    return any(
        not entry.is_dir() or any(_CONDITION.fullmatch(inner.name) for inner in tree.folders(_folder_of(folder, entry.name)))
        for entry in people
    )


def _folder_of(silhouettes: Path, subject: str) -> Path:
    """A person's folder, which is one level deeper if the archive was extracted into a folder of its name."""
    outer = silhouettes / subject
    return outer / subject if (outer / subject).is_dir() else outer


def _from_folder(silhouettes: Path, subject: str, faults: Faults) -> Iterator[tuple[str, bytes | None]]:
    """Names and contents of pictures, and names of folders with None, as an archive gives them."""
    folder = _folder_of(silhouettes, subject)
    for path in sorted(folder.glob("*/*/")):
        yield path.relative_to(folder.parent).as_posix(), None
    for path in sorted(folder.glob("*/*/*.png")):
        name = path.relative_to(folder.parent).as_posix()
        if _MEMBER.fullmatch(name) and (content := pictures.read_picture(path, faults)) is not None:
            yield name, content


def write_archive(
    path: Path, walks: Iterable[tuple[str, str, str, Sequence[np.ndarray]]], png_settings: Sequence[int] = PNG_SETTINGS
) -> None:
    """Write a subject's silhouettes as CASIA-B's archive; equal silhouettes give equal bytes.

    Args:
        path: the .tar.gz file to write.
        walks: identity, condition, view and frames (uint8 [height, width]) of each.
        png_settings: settings of OpenCV's encoder.
    """
    # gzip and tar would note the time, but a dataset that is made again must be the same file.
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", 1, raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for identity, condition, view, frames in walks:
            for number, frame in enumerate(frames, start=1):
                done, data = cv2.imencode(".png", frame, png_settings)
                if not done:
                    raise DataError(f"{path}: a frame of {identity}-{condition}-{view} cannot be written as PNG")
                name = f"{identity}/{condition}/{view}/{identity}-{condition}-{view}-{number:03d}.png"
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data.tobytes()))


def write_video(path: Path, frames: Sequence[np.ndarray], fps: float) -> None:
    """Write grey frames (uint8 [height, width]) as an MPEG-4 file in AVI, as CASIA-B's are.

    Raises:
        DataError: this OpenCV has no such encoder, or the file cannot be written.
        OSError: it is not whole, as on a full disk, of which OpenCV raises nothing.
    """
    height, width = frames[0].shape
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"XVID"), fps, (width, height), isColor=False)
    if not writer.isOpened():
        raise DataError(f"{path}: cannot be written as an MPEG-4 video")
    for frame in frames:
        writer.write(frame)
    writer.release()
    if (written := _frames_in(path)) != len(frames):
        raise OSError(f"{path}: {written} of {len(frames)} frames were written")


def _frames_in(path: Path) -> int:
    """The number of frames that a video's index has; 0 if it was not finished."""
    video = cv2.VideoCapture(str(path))
    count = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    video.release()
    return max(0, count)
