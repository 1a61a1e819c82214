"""Pictures and videos as datasets hold them, decoded with bounds on what a damaged or hostile file can do."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from gait.data.readers import Faults

# Real silhouettes have about a thousand bytes and 320 x 240 px, real colour frames 640 x 480. What claims to be much larger
# must not fill the memory.
LARGEST_PICTURE = 4 * 2**20
MOST_PIXELS = 2**24
_PNG_START = b"\x89PNG\r\n\x1a\n"


def grey(png: bytes) -> np.ndarray | None:
    """A PNG file's picture, uint8 [height, width]; None if the file is damaged or too large.

    Decoders show what they can of a broken file; here each chunk's checksum must be right.
    """
    if not _intact(png):
        return None
    frame = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    return frame if frame is not None and frame.size else None


def _intact(png: bytes) -> bool:
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


def read_picture(path: Path, faults: Faults) -> bytes | None:
    """A picture file's content; None, and a fault, if it is no file or too large."""
    if not path.is_file():
        faults.append(f"{path}: not a readable file")
        return None
    size = path.stat().st_size
    if size > LARGEST_PICTURE:
        faults.append(f"{path}: too large for a picture ({size} bytes)")
        return None
    return path.read_bytes()


def silhouettes(files: Mapping[int, bytes], names: Mapping[int, str], faults: Faults) -> dict[int, np.ndarray]:
    """Decoded PNG files, uint8 [height, width], by frame number.

    Args:
        files: content by frame number.
        names: what to call each in a fault.
        faults: where unreadable ones, which are left out, are noted.
    """
    decoded = {}
    for number, content in sorted(files.items()):
        frame = grey(content)
        if frame is None:
            faults.append(f"{names[number]} is not a readable PNG file")
        else:
            decoded[number] = frame
    return decoded


def read_video(path: Path, faults: Faults, colour: bool = False) -> list[np.ndarray]:
    """The frames of a video, uint8 [height, width], or [height, width, 3] (blue, green, red) in colour.

    A cut video gives what decodes, and a fault; an unreadable one gives nothing, and a fault.
    """
    if not path.is_file():
        faults.append(f"{path}: no such file")
        return []
    capture = cv2.VideoCapture(str(path))
    expected = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    if capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT) > MOST_PIXELS:
        capture.release()
        faults.append(f"{path}: its frames are too large")
        return []
    frames = []
    while True:
        more, frame = capture.read()
        if not more:
            break
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) if frame.ndim == 3 and not colour else frame)
    capture.release()
    if not frames:
        faults.append(f"{path}: not a readable video")
    elif len(frames) < expected:
        faults.append(f"{path}: {expected} frames announced, {len(frames)} readable")
    return frames
