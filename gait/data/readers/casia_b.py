"""Reading and writing the form in which CASIA-B is distributed.

Silhouettes: ``GaitDatasetB-silh/001.tar.gz`` (or a folder ``001``) with ``001/nm-01/090/001-nm-01-090-001.png`` and so on;
videos: ``DatasetB-video/001-nm-01-090.avi``. Archives are read as a stream and never unpacked; whatever in them is not such
a picture is ignored, so that no path in an archive reaches the file system.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from gait.data.readers import Clip, Faults, archives, pictures
from gait.errors import DataError

SILHOUETTES, VIDEOS = "GaitDatasetB-silh", "DatasetB-video"
CONDITIONS = tuple(
    f"{kind}-{number:02d}" for kind, count in (("nm", 6), ("bg", 2), ("cl", 2)) for number in range(1, count + 1)
)
VIEWS = tuple(f"{degrees:03d}" for degrees in range(0, 181, 18))
PEOPLE = 124
_FOLDER = re.compile(r"(?:\./)?([0-9]{3})/((?:nm|bg|cl)-[0-9]{2})/([0-9]{3})/?")
_MEMBER = re.compile(_FOLDER.pattern.removesuffix("?") + r"\1-\2-\3-([0-9]{1,9})\.png")
PNG_SETTINGS = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]  # the fastest


class CasiaB:
    """A :class:`gait.data.readers.Reader`; a unit is a person's archive or folder, named by their identity."""

    fps = 25.0

    def __init__(self, root: Path) -> None:
        self._silhouettes, self._videos = root / SILHOUETTES, root / VIDEOS

    def identities(self) -> list[str]:
        if not self._silhouettes.is_dir():
            raise DataError(f"{self._silhouettes}: no such folder")
        found = {
            path.name[:3]
            for path in self._silhouettes.iterdir()
            if (re.fullmatch(r"[0-9]{3}\.tar\.gz", path.name) and path.is_file())
            or (re.fullmatch(r"[0-9]{3}", path.name) and path.is_dir())
        }
        if not found:
            raise DataError(f"{self._silhouettes}: holds no 001.tar.gz ... and no folder 001 ...")
        return sorted(found)

    def units(self) -> list[str]:
        return self.identities()

    def files(self, unit: str) -> list[Path]:
        archive = self._archive(unit)
        shown = [archive] if archive.is_file() else sorted((self._silhouettes / unit).glob("*/*/*.png"))
        return [*shown, *sorted(self._videos.glob(f"{unit}-*.avi"))]

    def clips(self, unit: str, faults: Faults) -> Iterator[Clip]:
        """A person's walks.

        A damaged archive gives what comes before the damage. A walk whose folder is there but empty has no pictures. Where
        there are both an archive and a folder, the archive counts.
        """
        found: dict[tuple[str, str], dict[int, bytes]] = {}
        archive = self._archive(unit)
        if archive.is_file():
            entries = archives.files_and_folders(archive, pictures.LARGEST_PICTURE, faults)
        else:
            entries = _from_folder(self._silhouettes, unit, faults)
        for path, data in entries:
            match = (_FOLDER if data is None else _MEMBER).fullmatch(path)
            if match and match[1] == unit:
                frames = found.setdefault((match[2], match[3]), {})
                if data is not None:
                    frames[int(match[4])] = data
        for condition, view in sorted(found):
            walk = f"{unit}-{condition}-{view}"
            frames = found.pop((condition, view))
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


def _from_folder(silhouettes: Path, subject: str, faults: Faults) -> Iterator[tuple[str, bytes | None]]:
    """Names and contents of pictures, and names of folders with None, as of an archive."""
    for path in sorted((silhouettes / subject).glob("*/*/")):
        yield path.relative_to(silhouettes).as_posix(), None
    for path in sorted((silhouettes / subject).glob("*/*/*.png")):
        name = path.relative_to(silhouettes).as_posix()
        if _MEMBER.fullmatch(name) and (content := pictures.read_picture(path, faults)) is not None:
            yield name, content


def write_archive(
    path: Path, walks: Iterable[tuple[str, str, str, Sequence[np.ndarray]]], png_settings: Sequence[int] = PNG_SETTINGS
) -> None:
    """Write a subject's silhouettes as CASIA-B's archive; equal silhouettes give equal bytes.

    Args:
        path: the .tar.gz file to write.
        walks: identity, condition, view and frames (uint8 [height, width]) of each.
        png_settings: of OpenCV's encoder.
    """
    # gzip and tar would note the time; a data set that is made again must be the same file.
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
    """
    height, width = frames[0].shape
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"XVID"), fps, (width, height), isColor=False)
    if not writer.isOpened():
        raise DataError(f"{path}: cannot be written as an MPEG-4 video")
    for frame in frames:
        writer.write(frame)
    writer.release()
