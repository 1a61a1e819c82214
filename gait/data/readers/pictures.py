"""Pictures and videos as datasets hold them, decoded with bounds on what a damaged or hostile file can do."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pyspng

from gait.data.readers import Faults, masks

# Real silhouettes have about a thousand bytes and 320 x 240 px, real colour frames 640 x 480. What claims to be much larger
# must not fill the memory.
LARGEST_PICTURE = 4 * 2**20
LARGEST_COLOUR_PICTURE = 64 * 2**20
MOST_PIXELS = 2**24
MOST_DECODED = 2**31  # bytes of a walk's frames together: 40 s of colour at 640 x 480 and 60 frames/s
_NOT_PNG = (".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"IEND\xaeB`\x82"
_GREY_BYTES = bytes([8, 0])  # bit depth and colour type
_SIXTEEN_BITS = bytes([16])
_ALPHA = (4, 6)  # colour types that have an alpha channel
_JPEG_START = b"\xff\xd8\xff"
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # markers of the header that has the size
# How files of each container start: AVI, MP4 and MOV and 3GP, Matroska and WebM, MPEG, Windows Media, Flash, Ogg. FFmpeg
# would also follow a playlist that is called .avi, to any file or address that it names.
_CONTAINER = re.compile(
    rb"RIFF....AVI |....(ftyp|moov|mdat|wide|free|skip|pnot)|\x1a\x45\xdf\xa3|\x00\x00\x01[\xba\xb3]"
    rb"|\x30\x26\xb2\x75\x8e\x66\xcf\x11|FLV\x01|OggS\x00",
    re.DOTALL,
)
_TRANSPORT = ((0, 188), (4, 192))  # MPEG transport streams (.ts; .mts and .m2ts): where packets begin, and their lengths
_TRANSPORT_SYNC, _TRANSPORT_PACKETS = 0x47, 5
_TIFF_SIZES = {1: 1, 3: 2, 4: 4}  # bytes of the types of numbers that the fields below have
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257
_TIFF_DATA = ((273, 279), (324, 325))  # where strips or tiles begin, and their lengths
_TIFF_MOST_FIELDS = 2**16


def grey(content: bytes) -> np.ndarray | None:
    """A PNG, JPEG, BMP or TIFF file's picture, [height, width]; None if the file is damaged or too large.

    It is uint8, or uint16 where the file has 16 bits. Where the mask of a picture is its alpha channel, it is that channel.
    Decoders show what they can of a broken file; here each of a PNG file's checksums must be right.
    """
    if not content.startswith(_PNG_START):
        if _intact_tiff(content):
            return masks.one_channel(_decoded(content, cv2.IMREAD_UNCHANGED))
        return _decoded(content, cv2.IMREAD_GRAYSCALE) if _intact_jpeg(content) or _intact_bmp(content) else None
    if content[24:26] != _GREY_BYTES:
        if not _intact_png(content):
            return None
        plain = content[24:25] != _SIXTEEN_BITS and content[25] not in _ALPHA and b"tRNS" not in content
        return (
            _decoded(content, cv2.IMREAD_GRAYSCALE) if plain else masks.one_channel(_decoded(content, cv2.IMREAD_UNCHANGED))
        )
    if not _sane_png(content) or _PNG_END not in content:
        return None
    try:
        frame: np.ndarray = pyspng.load(content)  # takes half of OpenCV's time, and compares the checksums itself
    except RuntimeError:
        return None
    return frame


def colour(content: bytes) -> np.ndarray | None:
    """A PNG, JPEG, BMP or TIFF file's picture, uint8 [height, width, 3] (blue, green, red); None if damaged or too large."""
    intact = _intact_png(content) or _intact_jpeg(content) or _intact_bmp(content) or _intact_tiff(content)
    return _decoded(content, cv2.IMREAD_COLOR) if intact else None


def _decoded(content: bytes, flags: int) -> np.ndarray | None:
    try:
        frame = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error:
        return None
    return frame if frame is not None and frame.size else None


def _small(width: int, height: int) -> bool:
    return 0 < width * height <= MOST_PIXELS


def _sane_png(png: bytes) -> bool:
    if not png.startswith(_PNG_START) or png[12:16] != b"IHDR":
        return False
    return _small(int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big"))


def _intact_png(png: bytes) -> bool:
    if not _sane_png(png):
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


def _intact_jpeg(jpeg: bytes) -> bool:
    """Whether a JPEG file's segments are whole up to the picture, the picture is small and has an end."""
    at, small = 2, False
    while jpeg.startswith(_JPEG_START) and at + 4 <= len(jpeg) and jpeg[at] == 0xFF:
        kind = jpeg[at + 1]
        if kind == 0xFF:  # padding
            at += 1
            continue
        if kind in _JPEG_FRAMES:
            small = _small(int.from_bytes(jpeg[at + 7 : at + 9], "big"), int.from_bytes(jpeg[at + 5 : at + 7], "big"))
            if not small:
                return False
        if kind == 0xDA:
            return small and jpeg.find(b"\xff\xd9", at) > 0
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
    return False


def _intact_bmp(bmp: bytes) -> bool:
    if not bmp.startswith(b"BM") or len(bmp) < 54 or int.from_bytes(bmp[2:6], "little") > len(bmp):
        return False
    width, height = (int.from_bytes(bmp[first : first + 4], "little", signed=True) for first in (18, 22))
    return _small(width, abs(height))  # rows from the top have a negative height


def _intact_tiff(tiff: bytes) -> bool:
    """Whether a TIFF file's first picture is small and its strips or tiles lie within the file."""
    order: Literal["little", "big"]
    if tiff.startswith(b"II*\0"):
        order = "little"
    elif tiff.startswith(b"MM\0*"):
        order = "big"
    else:
        return False
    at = int.from_bytes(tiff[4:8], order)
    if not 8 <= at <= len(tiff) - 2:
        return False
    fields: dict[int, list[int]] = {}
    for entry in range(at + 2, at + 2 + 12 * int.from_bytes(tiff[at : at + 2], order), 12):
        tag, kind, count = (int.from_bytes(tiff[entry + a : entry + b], order) for a, b in ((0, 2), (2, 4), (4, 8)))
        size = _TIFF_SIZES.get(kind, 0)
        if tag not in (_TIFF_WIDTH, _TIFF_HEIGHT, *_TIFF_DATA[0], *_TIFF_DATA[1]) or not size:
            continue
        place = entry + 8 if size * count <= 4 else int.from_bytes(tiff[entry + 8 : entry + 12], order)
        if count > _TIFF_MOST_FIELDS or place + size * count > len(tiff):
            return False
        fields[tag] = [int.from_bytes(tiff[n : n + size], order) for n in range(place, place + size * count, size)]
    if not all(len(fields.get(tag, ())) == 1 for tag in (_TIFF_WIDTH, _TIFF_HEIGHT)):
        return False
    places = [place for tags in _TIFF_DATA for place in zip(*(fields.get(tag, ()) for tag in tags), strict=False)]
    within = bool(places) and all(start + length <= len(tiff) for start, length in places)
    return within and _small(fields[_TIFF_WIDTH][0], fields[_TIFF_HEIGHT][0])


def read_picture(path: Path, faults: Faults, largest: int = LARGEST_PICTURE) -> bytes | None:
    """A picture file's content; None, and a fault, if it is no file, cannot be read or has more than ``largest`` bytes."""
    try:
        if not path.is_file():
            faults.append(f"{path}: not a readable file")
        elif (size := path.stat().st_size) > largest:
            faults.append(f"{path}: too large for a picture ({size} bytes)")
        else:
            return path.read_bytes()
    except OSError as error:
        faults.append(f"{path}: not readable ({error.strerror})")
    return None


def silhouettes(files: Mapping[int, bytes], names: Mapping[int, str], faults: Faults) -> dict[int, np.ndarray]:
    """The silhouettes in picture files of one walk, uint8 [height, width], by frame number.

    Args:
        files: content by frame number.
        names: what to call each in a fault.
        faults: where unreadable ones, which are left out, are noted.
    """
    return masks.of_eight_bits(_each_silhouette(sorted(files.items()), names, faults))


def read_silhouettes(paths: Mapping[int, Path], faults: Faults) -> dict[int, np.ndarray]:
    """The same of files on disk; see :func:`silhouettes`."""
    read = ((number, read_picture(path, faults)) for number, path in sorted(paths.items()))
    return masks.of_eight_bits(_each_silhouette(read, paths, faults))


def _each_silhouette(
    files: Iterable[tuple[int, bytes | None]], names: Mapping[int, object], faults: Faults
) -> dict[int, np.ndarray]:
    decoded = {}
    for number, content in files:
        if content is None:
            continue
        frame = grey(content)
        if frame is None:
            kind = "picture" if str(names[number]).lower().endswith(_NOT_PNG) else "PNG file"
            faults.append(f"{names[number]} is not a readable {kind}")
        else:
            decoded[number] = masks.without_compression_noise(frame) if content.startswith(_JPEG_START) else frame
    return decoded


def read_frames(paths: Iterable[Path], faults: Faults) -> list[np.ndarray]:
    """Colour frames from picture files, uint8 [height, width, 3] (blue, green, red), all of the first one's size.

    What is unreadable or of another size is left out and noted.
    """
    frames: list[np.ndarray] = []
    for path in paths:
        if (content := read_picture(path, faults, LARGEST_COLOUR_PICTURE)) is None:
            continue
        if (frame := colour(content)) is None:
            faults.append(f"{path} is not a readable picture")
        elif frames and frame.shape != frames[0].shape:
            faults.append(f"{path} differs in size from the walk's first picture")
        elif (len(frames) + 1) * frame.nbytes > MOST_DECODED:
            faults.append(f"{path}: the walk is too long, and only the {len(frames)} frames before are used")
            break
        else:
            frames.append(frame)
    return frames


def read_video(path: Path, faults: Faults, colour: bool = False) -> list[np.ndarray]:
    """The frames of a video, uint8 [height, width], or [height, width, 3] (blue, green, red) in colour.

    A cut video gives what decodes, and a fault; an unreadable one gives nothing, and a fault.
    """
    if not path.is_file():
        faults.append(f"{path}: no such file")
        return []
    if not _is_video(path):
        faults.append(f"{path}: not a readable video")
        return []
    capture = cv2.VideoCapture(str(path))
    expected = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    if capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT) > MOST_PIXELS:
        capture.release()
        faults.append(f"{path}: its frames are too large")
        return []
    frames: list[np.ndarray] = []
    while True:
        more, frame = capture.read()
        if not more or (frames and frame.shape[:2] != frames[0].shape[:2]):
            break
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) if frame.ndim == 3 and not colour else frame)
        if len(frames) * frames[0].nbytes > MOST_DECODED:
            break
    capture.release()
    if not frames:
        faults.append(f"{path}: not a readable video")
    elif len(frames) < expected:
        faults.append(f"{path}: {expected} frames announced, {len(frames)} readable")
    return frames


def _is_video(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(sum(_TRANSPORT[-1]) + _TRANSPORT[-1][1] * (_TRANSPORT_PACKETS - 1))
    except OSError:
        return False
    return _CONTAINER.match(head) is not None or any(_is_transport(head[start::length]) for start, length in _TRANSPORT)


def _is_transport(starts: bytes) -> bool:
    return len(starts) >= 2 and set(starts[:_TRANSPORT_PACKETS]) == {_TRANSPORT_SYNC}
