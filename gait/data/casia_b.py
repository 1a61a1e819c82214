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
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

import cv2
import numpy as np

from gait.errors import DataError

SILHOUETTES, VIDEOS = "GaitDatasetB-silh", "DatasetB-video"
# Real pictures have about a thousand bytes and 320 x 240 px, real archives some 20 MB. Much more is no silhouette, and what
# claims to be larger must not fill the memory.
LARGEST_PICTURE = 4 * 2**20
MOST_PIXELS = 2**24
LARGEST_ARCHIVE = 2**30
_FOLDER = re.compile(r"(?:\./)?([0-9]{3})/((?:nm|bg|cl)-[0-9]{2})/([0-9]{3})/?")
_MEMBER = re.compile(_FOLDER.pattern.removesuffix("?") + r"\1-\2-\3-([0-9]{1,9})\.png")
PNG_SETTINGS = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]  # the fastest
_PNG_START = b"\x89PNG\r\n\x1a\n"


@dataclass
class Clip:
    """One walk in one view.

    Attributes:
        identity, condition, view: such as "001", "nm-01", "090".
        pictures: PNG files of the silhouettes, by frame number (from 1).
        faults: what could not be read.
    """

    identity: str
    condition: str
    view: str
    pictures: dict[int, bytes] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Such as "001-nm-01-090"."""
        return f"{self.identity}-{self.condition}-{self.view}"

    def silhouettes(self) -> dict[int, np.ndarray]:
        """Decoded frames, uint8 [height, width], by frame number; unreadable ones are left out and noted in faults."""
        decoded = {}
        for number, data in sorted(self.pictures.items()):
            frame = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if _intact(data) else None
            if frame is None or not frame.size:
                self.faults.append(f"{self.name}-{number:03d}.png is not a readable PNG file")
            else:
                decoded[number] = frame
        return decoded


def _intact(png: bytes) -> bool:
    """Whether all chunks of a PNG file have the right checksum and it is of a sane size.

    Decoders show what they can of a broken one, and fail on what is too large for them.
    """
    if not png.startswith(_PNG_START):
        return False
    width, height = (int.from_bytes(png[first : first + 4], "big") for first in (16, 20))
    if width * height > MOST_PIXELS:
        return False
    at = len(_PNG_START)
    while at + 12 <= len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(png) or zlib.crc32(png[at + 4 : end]) != int.from_bytes(png[end : end + 4], "big"):
            return False
        if png[at + 4 : at + 8] == b"IEND":
            return True
        at = end + 4
    return False


def subjects(silhouettes: Path) -> list[str]:
    """Identities that have an archive or a folder.

    Raises:
        DataError: the folder is missing or holds none.
    """
    if not silhouettes.is_dir():
        raise DataError(f"{silhouettes}: no such folder")
    found = {
        path.name[:3]
        for path in silhouettes.iterdir()
        if (re.fullmatch(r"[0-9]{3}\.tar\.gz", path.name) and path.is_file())
        or (re.fullmatch(r"[0-9]{3}", path.name) and path.is_dir())
    }
    if not found:
        raise DataError(f"{silhouettes}: holds no 001.tar.gz ... and no folder 001 ...")
    return sorted(found)


def clips(silhouettes: Path, subject: str) -> tuple[list[Clip], list[str]]:
    """All walks of a subject, ordered by condition and view, and what is wrong with their archive or folder.

    A damaged archive gives what comes before the damage. A walk whose folder is there but empty has no pictures. Where there
    are both an archive and a folder, the archive counts.
    """
    found: dict[tuple[str, str], Clip] = {}
    faults: list[str] = []
    archive = silhouettes / f"{subject}.tar.gz"
    entries = _from_archive(archive, faults) if archive.is_file() else _from_folder(silhouettes, subject, faults)
    for path, data in entries:
        match = (_FOLDER if data is None else _MEMBER).fullmatch(path)
        if match and match[1] == subject:
            clip = found.setdefault((match[2], match[3]), Clip(subject, match[2], match[3]))
            if data is not None:
                clip.pictures[int(match[4])] = data
    return [found[key] for key in sorted(found)], faults


class _Unpacked:
    """A gzip file as a stream of bounded length, which knows where its last byte other than 0 was."""

    def __init__(self, packed: gzip.GzipFile) -> None:
        self._packed = packed
        self._at = self.content_end = 0

    def read(self, size: int) -> bytes:
        data = self._packed.read(size)
        if content := data.rstrip(b"\0"):
            self.content_end = self._at + len(content)
        self._at += len(data)
        if self._at > LARGEST_ARCHIVE:
            raise _too_large()
        return data


def _too_large() -> tarfile.ReadError:
    return tarfile.ReadError(f"more than {LARGEST_ARCHIVE >> 20} MiB when unpacked")


def _from_archive(archive: Path, faults: list[str]) -> Iterator[tuple[str, bytes | None]]:
    """Names and contents of pictures, and names of folders with None."""
    try:
        with gzip.open(archive) as packed:
            unpacked = _Unpacked(packed)
            with tarfile.open(fileobj=cast(IO[bytes], unpacked), mode="r|") as stream:
                for member in stream:
                    if stream.offset > LARGEST_ARCHIVE:  # tarfile would look for the next entry there, block by block
                        raise _too_large()
                    if member.isdir():
                        yield member.name, None
                    elif member.isreg() and _MEMBER.fullmatch(member.name):
                        if member.size > LARGEST_PICTURE:
                            faults.append(f"{archive}: {member.name} is too large for a silhouette ({member.size} bytes)")
                        elif (content := stream.extractfile(member)) is not None:
                            yield member.name, content.read()
                # tarfile takes a broken entry for the end, and never sees gzip's checksum.
                while unpacked.read(2**20):
                    pass
                if unpacked.content_end > stream.offset:
                    raise tarfile.ReadError("a broken entry")
    except (tarfile.TarError, EOFError, OSError, ValueError, ArithmeticError, zlib.error) as error:
        faults.append(f"{archive}: damaged, read up to the damage ({error})")


def _from_folder(silhouettes: Path, subject: str, faults: list[str]) -> Iterator[tuple[str, bytes | None]]:
    """The same as of an archive."""
    for path in sorted((silhouettes / subject).glob("*/*/")):
        yield path.relative_to(silhouettes).as_posix(), None
    for path in sorted((silhouettes / subject).glob("*/*/*.png")):
        name = path.relative_to(silhouettes).as_posix()
        if not _MEMBER.fullmatch(name):
            continue
        if not path.is_file():
            faults.append(f"{path}: not a readable file")
        elif path.stat().st_size > LARGEST_PICTURE:
            faults.append(f"{path}: too large for a silhouette ({path.stat().st_size} bytes)")
        else:
            yield name, path.read_bytes()


def read_video(path: Path) -> tuple[list[np.ndarray], str | None]:
    """Grey frames [height, width], uint8, of a video, and what is wrong with it; a cut video gives what decodes."""
    if not path.is_file():
        return [], f"{path}: no such file"
    capture = cv2.VideoCapture(str(path))
    expected = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    frames = []
    while True:
        more, frame = capture.read()
        if not more:
            break
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) if frame.ndim == 3 else frame)
    capture.release()
    if not frames:
        return [], f"{path}: not a readable video"
    if len(frames) < expected:
        return frames, f"{path}: {expected} frames announced, {len(frames)} readable"
    return frames, None


def write_archive(path: Path, walks: Iterable[tuple[str, str, str, Sequence[np.ndarray]]]) -> None:
    """Write a subject's silhouettes as CASIA-B's archive; equal silhouettes give equal bytes.

    Args:
        path: the .tar.gz file to write.
        walks: identity, condition, view and frames (uint8 [height, width]) of each.
    """
    # gzip and tar would note the time; a data set that is made again must be the same file.
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", 1, raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for identity, condition, view, frames in walks:
            for number, frame in enumerate(frames, start=1):
                done, data = cv2.imencode(".png", frame, PNG_SETTINGS)
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
