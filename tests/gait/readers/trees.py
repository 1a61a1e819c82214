"""Small datasets on disk, in the layouts of the published ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from gait.data import walkers
from gait.data.readers import Clip, Faults, Reader
from gait.data.walkers import Walk


@cache
def walk(view: str, frames: int = 40) -> Walk:
    """A synthetic person's walk with exact silhouettes."""
    settings = walkers.Walkers(views=(view,), nm=1, bg=0, cl=0, frames=frames, difficulty=0.0, noise=0.0, seed=1)
    return next(settings.walks(2))


def silhouette(at: int = 40) -> np.ndarray:
    """A standing blob, uint8 [60, 80], 0 or 255."""
    frame = np.zeros((60, 80), np.uint8)
    frame[8:52, at - 6 : at + 6] = 255
    return frame


def place(height: int = 60, width: int = 80) -> np.ndarray:
    """An empty dark place, uint8 [height, width, 3]."""
    coarse = np.random.default_rng(0).integers(30, 70, (4, 5, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)


def film(frames: int = 12, height: int = 60, width: int = 80) -> list[np.ndarray]:
    """Colour frames [height, width, 3] of a bright blob that crosses the place."""
    shown = []
    for at in np.linspace(8, width - 16, frames).astype(int):
        frame = place(height, width)
        frame[height // 6 : -height // 6, at : at + 8] = (200, 180, 220)
        shown.append(frame)
    return shown


def write_pictures(folder: Path, frames: Sequence[np.ndarray], names: Iterable[str]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in names]
    for path, frame in zip(paths, frames, strict=True):
        path.write_bytes(cv2.imencode(path.suffix.lower(), frame)[1].tobytes())
    return paths


def write_film(path: Path, frames: Sequence[np.ndarray], codec: str = "XVID") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(frame if frame.ndim == 3 else cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


def all_clips(reader: Reader) -> tuple[list[Clip], Faults]:
    faults: Faults = []
    return [clip for unit in reader.units() for clip in reader.clips(unit, faults)], faults


def read(clip: Clip) -> tuple[dict[int, np.ndarray], Faults]:
    """A clip's silhouettes, and their faults."""
    faults: Faults = []
    return dict(clip.silhouettes(faults)), faults


def overlap(silhouette: np.ndarray, exact: np.ndarray) -> float:
    """Intersection over union."""
    return float(((silhouette > 0) & (exact > 0)).sum() / max(1, ((silhouette > 0) | (exact > 0)).sum()))
