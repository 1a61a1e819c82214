"""The films of the study."""

from __future__ import annotations

from pathlib import Path

import cv2

from gait.data.walkers import FPS
from gait.live.scene import Scene
from gaitpress.errors import StageError


def write(scene: Scene, path: Path) -> None:
    """Write a scene as a film.

    Raises:
        StageError: OpenCV cannot write it here.
    """
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (scene.width, scene.height))
    if not writer.isOpened():
        raise StageError(f"{path}: OpenCV cannot write videos here")
    for frame, _ in scene.frames():
        writer.write(frame)
    writer.release()
