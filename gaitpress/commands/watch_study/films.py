"""The films of the study."""

from __future__ import annotations

from pathlib import Path

import cv2

from gait.data.walkers import FPS
from gait.live.scene import Scene
from gaitpress.errors import StageError


def write(scene: Scene, path: Path) -> list[dict[int, tuple[int, int, int, int]]]:
    """Write a scene as a film; returns who is seen where in each frame: boxes (left, top, width, height) by subject.

    Raises:
        StageError: OpenCV cannot write it here.
    """
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (scene.width, scene.height))
    if not writer.isOpened():
        raise StageError(f"{path}: OpenCV cannot write videos here")
    seen = []
    for frame, boxes in scene.frames():
        writer.write(frame)
        seen.append(boxes)
    writer.release()
    return seen
