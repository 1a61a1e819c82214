"""Optical-flow samples as the 2D/3D-CNN study makes them: 25 flow frames around one person, 60 x 60 px.

The flow of full-resolution frames is computed between consecutive frames, kept in hundredths of a pixel, and resized to
80 x 60 without rescaling its values; the person's box in the middle frame decides the horizontal position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

STORED_PER_PX = 100
RESIZED = (80, 60)  # width, height
SIDE = 60
METHODS = ("dis", "farneback")


def person_box(silhouette: np.ndarray) -> tuple[int, int] | None:
    """First column and the column after the last one of a silhouette [height, width]; None if it is empty."""
    columns = np.flatnonzero(silhouette.any(0))
    return (int(columns[0]), int(columns[-1]) + 1) if len(columns) else None


def dense_flow(frames: Sequence[np.ndarray], method: str) -> list[np.ndarray]:
    """Flow between consecutive grey frames [height, width], uint8: int16 [height, width, 2] each, x and y, px times 100.

    Args:
        frames: at least two, of one size.
        method: "dis" (Kroeger et al., ECCV 2016) or "farneback" (Farneback, SCIA 2003).
    """
    # OpenCV makes the array of the result where there is none, but its type stubs do not know.
    new: Any = None
    if method == "dis":
        estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        flows = (estimator.calc(before, after, new) for before, after in zip(frames, frames[1:]))
    else:
        flows = (
            cv2.calcOpticalFlowFarneback(before, after, new, 0.5, 3, 15, 3, 5, 1.2, 0)
            for before, after in zip(frames, frames[1:])
        )
    most = np.iinfo(np.int16).max  # on both sides, so that a mirror image can change the sign
    return [np.clip(np.rint(flow * STORED_PER_PX), -most, most).astype(np.int16) for flow in flows]


def no_samples(length: int) -> np.ndarray:
    """Samples of ``length`` flow frames, but none: int16 [0, 60, 60, 2 * length]."""
    return np.empty((0, SIDE, SIDE, 2 * length), np.int16)


def samples(
    frames: Sequence[np.ndarray], boxes: Sequence[tuple[int, int] | None], method: str, length: int, stride: int
) -> np.ndarray:
    """All flow samples of a video.

    Args:
        frames: grey, uint8 [height, width].
        boxes: first column and the one after the last of the person in each frame, None where unknown.
        method: of :func:`dense_flow`.
        length: flow frames a sample (25).
        stride: a new sample every so many frames (5).

    Returns:
        int16 [n, 60, 60, 2 * length], channel 2k = x, 2k + 1 = y; samples whose middle frame has no box are left out.
    """
    if len(frames) <= length:
        return no_samples(length)
    resized = [cv2.resize(flow, RESIZED, interpolation=cv2.INTER_LINEAR) for flow in dense_flow(frames, method)]
    video_width = frames[0].shape[1]
    found = []
    for start in range(0, len(resized) - length + 1, stride):
        box = boxes[start + length // 2]
        if box is None:
            continue
        centre = (box[0] + box[1]) / 2 * RESIZED[0] / video_width
        left = round(centre) - SIDE // 2
        stacked = np.concatenate(resized[start : start + length], axis=2)
        sample = np.zeros((SIDE, SIDE, 2 * length), np.int16)
        first, last = max(left, 0), min(left + SIDE, RESIZED[0])
        sample[:, first - left : last - left] = stacked[:, first:last]
        found.append(sample)
    return np.stack(found) if found else no_samples(length)
