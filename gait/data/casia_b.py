"""Reading and writing the form in which CASIA-B is distributed.

Silhouettes: ``GaitDatasetB-silh/001.tar.gz`` (or a folder ``001``) with ``001/nm-01/090/001-nm-01-090-001.png`` and so on;
videos: ``DatasetB-video/001-nm-01-090.avi``. Archives are read as a stream and never unpacked; whatever in them is not such
a picture is ignored, so that no path in an archive reaches the file system.
"""

from __future__ import annotations

import io
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from gait.errors import DataError

SILHOUETTES, VIDEOS = "GaitDatasetB-silh", "DatasetB-video"
LARGEST_PICTURE = 4 * 2**20  # bytes; a real one has about a thousand
_MEMBER = re.compile(r"(?:\./)?(\d{3})/((?:nm|bg|cl)-\d\d)/(\d{3})/\1-\2-\3-(\d+)\.png")
PNG_SETTINGS = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE]  # the fastest
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"


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
            if frame is None:
                self.faults.append(f"{self.name}-{number:03d}.png is not a readable PNG file")
            else:
                decoded[number] = frame
        return decoded


def _intact(png: bytes) -> bool:
    """Whether all chunks of a PNG file have the right checksum; decoders show what they can of a broken one."""
    if not (png.startswith(_PNG_START) and png.endswith(_PNG_END)):
        return False
    at = len(_PNG_START)
    while at + 12 <= len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(png) or zlib.crc32(png[at + 4 : end]) != int.from_bytes(png[end : end + 4], "big"):
            return False
        at = end + 4
    return at == len(png)


def subjects(silhouettes: Path) -> list[str]:
    """Identities that have an archive or a folder.

    Raises:
        DataError: the folder is missing or holds none.
    """
    if not silhouettes.is_dir():
        raise DataError(f"{silhouettes}: no such folder")
    found = {path.name[:3] for path in silhouettes.iterdir() if re.fullmatch(r"\d{3}(\.tar\.gz)?", path.name)}
    if not found:
        raise DataError(f"{silhouettes}: holds no 001.tar.gz ... and no folder 001 ...")
    return sorted(found)


def clips(silhouettes: Path, subject: str) -> tuple[list[Clip], list[str]]:
    """All walks of a subject, ordered by condition and view, and what is wrong with their archive.

    A damaged archive gives what comes before the damage.
    """
    found: dict[tuple[str, str], Clip] = {}
    faults: list[str] = []
    archive = silhouettes / f"{subject}.tar.gz"
    pictures = _from_archive(archive, faults) if archive.is_file() else _from_folder(silhouettes, subject)
    for path, data in pictures:
        match = _MEMBER.fullmatch(path)
        if match and match[1] == subject:
            _, condition, view, number = match.groups()
            found.setdefault((condition, view), Clip(subject, condition, view)).pictures[int(number)] = data
    for condition, view in _empty_folders(silhouettes, subject):
        found.setdefault((condition, view), Clip(subject, condition, view))
    return [found[key] for key in sorted(found)], faults


def _from_archive(archive: Path, faults: list[str]) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(archive, "r|gz") as stream:
            for member in stream:
                if member.isreg() and member.size <= LARGEST_PICTURE and _MEMBER.fullmatch(member.name):
                    content = stream.extractfile(member)
                    if content is not None:
                        yield member.name, content.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        faults.append(f"{archive}: damaged, read up to the damage ({error})")


def _from_folder(silhouettes: Path, subject: str) -> Iterator[tuple[str, bytes]]:
    for path in sorted((silhouettes / subject).glob("*/*/*.png")):
        if path.stat().st_size <= LARGEST_PICTURE:
            yield path.relative_to(silhouettes).as_posix(), path.read_bytes()


def _empty_folders(silhouettes: Path, subject: str) -> Iterator[tuple[str, str]]:
    """Walks whose folder is there but has no picture."""
    for path in (silhouettes / subject).glob("*/*"):
        if path.is_dir() and re.fullmatch(r"(nm|bg|cl)-\d\d/\d{3}", f"{path.parent.name}/{path.name}"):
            yield path.parent.name, path.name


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
    import gzip

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
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"XVID"), fps, (width, height), isColor=False)
    if not writer.isOpened():
        raise DataError(f"{path}: cannot be written as an MPEG-4 video")
    for frame in frames:
        writer.write(frame)
    writer.release()
