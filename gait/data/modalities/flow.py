"""Optical-flow samples as in the 2D/3D-CNN study: 25 flow frames around one person, 60 x 60 px.

Flow is computed between consecutive full-resolution frames, stored in hundredths of a pixel, and resized to 80 x 60 without
rescaling its values. The person's box in the middle frame decides the horizontal position.
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
    """The first column of the person in a silhouette [height, width], and the column after the last; None if it is empty."""
    columns = np.flatnonzero(silhouette.any(0))
    return (int(columns[0]), int(columns[-1]) + 1) if len(columns) else None


def dense_flow(frames: Sequence[np.ndarray], method: str) -> list[np.ndarray]:
    """Flow between consecutive frames.

    Args:
        frames: at least two grey frames of one size, uint8 [height, width].
        method: "dis" (Kroeger et al., ECCV 2016) or "farneback" (Farneback, SCIA 2003).

    Returns:
        For each pair int16 [height, width, 2], x and y in hundredths of a pixel.
    """
    # OpenCV allocates the result if it gets None, which its type stubs do not allow.
    new: Any = None
    if method == "dis":
        estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        flows = (estimator.calc(before, after, new) for before, after in zip(frames, frames[1:]))
    else:
        flows = (
            cv2.calcOpticalFlowFarneback(before, after, new, 0.5, 3, 15, 3, 5, 1.2, 0)
            for before, after in zip(frames, frames[1:])
        )
    return [_stored(flow) for flow in flows]


def _stored(flow: np.ndarray) -> np.ndarray:
    """Flow in pixels, float32, as int16 in hundredths; its own array is used up, for new ones cost as much as the sums."""
    limit = np.iinfo(np.int16).max  # on both sides, so that mirroring can change the sign
    flow *= STORED_PER_PX
    np.rint(flow, out=flow)
    np.clip(flow, -limit, limit, out=flow)
    return flow.astype(np.int16)


def no_samples(length: int) -> np.ndarray:
    """An empty array of samples of ``length`` flow frames: int16 [0, 60, 60, 2 * length]."""
    return np.empty((0, SIDE, SIDE, 2 * length), np.int16)


def samples(
    frames: Sequence[np.ndarray], boxes: Sequence[tuple[int, int] | None], method: str, length: int, stride: int
) -> np.ndarray:
    """All flow samples of a video.

    Args:
        frames: grey, uint8 [height, width].
        boxes: :func:`person_box` of each frame; None where unknown.
        method: of :func:`dense_flow`.
        length: flow frames in a sample (25).
        stride: frames from the start of one sample to the next (5).

    Returns:
        int16 [n, 60, 60, 2 * length], channel 2k = x, 2k + 1 = y; samples whose middle frame has no box are left out.
    """
    if len(frames) <= length:
        return no_samples(length)
    resized = [cv2.resize(flow, RESIZED, interpolation=cv2.INTER_LINEAR) for flow in dense_flow(frames, method)]
    video_width = frames[0].shape[1]
    rows = []
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
        rows.append(sample)
    return np.stack(rows) if rows else no_samples(length)
