"""Alignment of silhouettes: each person has the same height and is centred by mass (as in GaitSet's preprocessing)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

EMPTY_SUM = 10_000  # a frame shows nobody if its pixels sum to this or less


def align(frame: np.ndarray, size: int) -> np.ndarray | None:
    """Crop a silhouette to the person's rows, scale it to ``size`` rows, and cut ``size`` columns around its centre of mass.

    Args:
        frame: uint8 [height, width]; the person is bright.
        size: height and width of the result.

    Returns:
        uint8 [size, size], or None if the frame shows nobody.
    """
    sums = cv2.reduce(frame, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel()
    if int(sums.sum()) <= EMPTY_SUM:
        return None
    rows = np.flatnonzero(sums)
    person = frame[rows[0] : rows[-1] + 1]
    width = int(size * person.shape[1] / person.shape[0])
    if width < 1:
        return None
    person = cv2.resize(person, (width, size), interpolation=cv2.INTER_CUBIC)
    mass = cv2.reduce(person, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S).ravel().cumsum()
    if not mass[-1]:  # the lines were so thin that scaling lost them
        return None
    centre = int(np.searchsorted(mass, mass[-1] // 2, side="right"))  # the first column beyond half of the mass
    half = size // 2
    left = centre - half
    if left < 0 or left + size > width:
        person = np.pad(person, ((0, 0), (half, half)))
        left += half
    return person[:, left : left + size]


def align_all(frames: Iterable[np.ndarray], size: int) -> np.ndarray:
    """The aligned frames of a sequence that show somebody: uint8 [n, size, size]."""
    return stacked([result for frame in frames if (result := align(frame, size)) is not None], size)


def stacked(aligned: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Aligned frames as one array, uint8 [n, size, size]; n may be 0."""
    return np.stack(aligned) if aligned else np.empty((0, size, size), np.uint8)


def to_full_width(frame: np.ndarray) -> np.ndarray:
    """An aligned silhouette [height, width] as [height, height], with black columns in place of those cut off at both sides.

    Networks take the middle columns, :func:`gait.data.prepared.inputs.cut`; without the black ones they would cut twice.
    """
    height, width = frame.shape
    left = (height - width) // 2
    return frame if not height - width else np.pad(frame, ((0, 0), (left, height - width - left)))
