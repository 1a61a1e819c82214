"""Walks in folders of pictures: which folders they are, and their frames, made the same way as for the measurement."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from gaitpress_runtime import masks

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
VIDEOS = (
    ".avi",
    ".mp4",
    ".m4v",
    ".mov",
    ".3gp",
    ".mkv",
    ".webm",
    ".wmv",
    ".flv",
    ".ogv",
    ".mpg",
    ".mpeg",
    ".ts",
    ".mts",
    ".m2ts",
)
JPEG = (".jpg", ".jpeg")
SILHOUETTES, VIDEO = "silhouettes", "video"  # folders in a walk's
LEFT_BEHIND = ("__macosx", "@eadir", "lost+found", "$recycle.bin")  # by systems and archivers
DEEPEST = 3  # identity/condition/view
WANTED = "a walk is a folder of silhouettes, one picture a frame, the person bright on black"


def walks_in(folder: Path, deepest: int = DEEPEST) -> list[Path]:
    """The folders of walks in a folder, in natural order: walk/ as well as condition/view/ and identity/condition/view/.

    Raises:
        ValueError: there is none, or a video in the place of one.
    """
    walks = []
    for inner in _entries(folder):
        if inner.suffix.lower() in VIDEOS and inner.is_file():
            raise ValueError(f"{inner}: is a video, and {WANTED}")
        if inner.is_dir():
            walks += walks_in(inner, deepest - 1) if deepest > 1 and _holds_walks(inner) else [inner]
    if not walks:
        itself = (
            " holds pictures itself: put those of each walk into a folder of its own"
            if _pictures(folder)
            else " holds no walk"
        )
        raise ValueError(f"{folder}:{itself}; {WANTED}")
    return walks


def folders_in(folder: Path) -> list[Path]:
    """The folders in a folder, such as those of people, in natural order."""
    return [entry for entry in _entries(folder) if entry.is_dir()]


def frames_of(walk: Path) -> tuple[list[np.ndarray | None], list[np.ndarray] | None]:
    """The silhouettes of a walk, uint8 [height, width], and the grey frames of its video, as many, where it has one.

    A silhouette is None where the video has a frame of a name that the silhouettes lack.

    Raises:
        ValueError: there are none, or a picture cannot be read or is no silhouette.
    """
    apart = walk / SILHOUETTES
    shown = _silhouettes(apart if apart.is_dir() else walk)
    film = next(
        (folder for folder in (walk / VIDEO, walk) if apart.is_dir() and folder.is_dir() and _pictures(folder)), None
    )
    if film is None:
        return list(shown.values()), None
    video = {file.stem: _picture(file, cv2.IMREAD_GRAYSCALE) for file in _pictures(film)}
    if strangers := [name for name in shown if name not in video]:
        raise ValueError(f"{film}: has no frame called {strangers[0]}, as a silhouette in {apart} is")
    return [shown.get(name) for name in video], list(video.values())


def _silhouettes(folder: Path) -> dict[str, np.ndarray]:
    files = _pictures(folder)
    if not files:
        videos = [file.name for file in _entries(folder) if file.suffix.lower() in VIDEOS]
        has = f"holds a video, {videos[0]}, and" if videos else f"holds no pictures ({', '.join(PICTURES)});"
        raise ValueError(f"{folder}: {has} {WANTED}")
    read: dict[int, np.ndarray] = {}
    for number, file in enumerate(files):
        frame = masks.one_channel(_picture(file, cv2.IMREAD_UNCHANGED))
        if frame is None:
            raise ValueError(f"{file}: cannot be read as a silhouette")
        read[number] = masks.without_compression_noise(frame) if file.suffix.lower() in JPEG else frame
    frames = list(masks.of_eight_bits(read).values())
    seen = [frame for frame in frames if frame.any()]
    if not masks.shows_silhouettes(frames):
        raise ValueError(f"{folder}: these pictures are no silhouettes; {WANTED}")
    frames = list(masks.brightened(frames)[0])
    if seen and np.mean([masks.is_inverted(frame) for frame in frames if frame.any()]) > masks.MOSTLY:
        raise ValueError(f"{folder}: the silhouettes are dark on bright; invert them")
    return {file.stem: frame for file, frame in zip(files, frames)}


def _picture(file: Path, how: int) -> Any:
    try:
        frame = cv2.imread(str(file), how)
    except cv2.error:  # it claims to be too large
        frame = None
    if frame is None:
        raise ValueError(f"{file}: cannot be read as a picture")
    return frame


def _holds_walks(folder: Path) -> bool:
    """Whether a folder is no walk itself: it has folders other than those of a walk, and no pictures."""
    inner = [entry.name for entry in folders_in(folder)]
    return bool(inner) and SILHOUETTES not in inner and not _pictures(folder)


def _pictures(folder: Path) -> list[Path]:
    return [file for file in _entries(folder) if file.suffix.lower() in PICTURES and file.is_file()]


def _entries(folder: Path) -> list[Path]:
    """What a folder holds, in natural order (2 before 10), without what is hidden or what systems leave behind."""
    kept = (path for path in folder.iterdir() if not path.name.startswith(".") and path.name.lower() not in LEFT_BEHIND)
    return sorted(kept, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split("([0-9]+)", path.name)]
