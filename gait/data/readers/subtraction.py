"""Pixels that differ from a background: what silhouettes of films and of live pictures have in common.

A pixel belongs to a person if it differs from the background by more than the pictures' noise, and by a large enough share
of its neighbours' difference, which keeps the blurred outline as narrow as the person.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

NOISE_FACTOR = 4.0  # a person differs from the background by at least so many standard deviations of the noise
LEAST_NOISE = 1.0  # grey levels: compressed videos have no noise where nothing moves, but some around what moves
OUTLINE = 0.45  # share of the largest difference nearby that a pixel of the person must have
SMALLEST_PERSON = 0.002  # of the picture
LARGEST_HOLE = 0.02  # of the person
SPARSE = 4  # every fourth row and column show the noise as well as all do
SCALE_ROWS = 240  # the sizes below are for pictures of so many rows and grow with them
DETAIL, GAP, PARTED = 1, 2, 4  # px to each side: finest detail, gaps within the person, gaps between their parts


def unit_of(rows: int) -> int:
    """What the sizes above are multiplied by in pictures of so many rows."""
    return max(1, round(rows / SCALE_ROWS))


def difference(frame: np.ndarray, background: np.ndarray) -> np.ndarray:
    """How much each pixel differs, float32 [height, width], without a change of brightness of the whole picture.

    Args:
        frame: uint8 [height, width] or [height, width, 3].
        background: float32, of the same shape.
    """
    apart = cv2.subtract(frame, background, dtype=cv2.CV_32F)
    level = np.median(apart[::SPARSE, ::SPARSE].reshape(-1, *frame.shape[2:]), axis=0)
    # In OpenCV this takes a fifth of the time that arrays of numpy take.
    levels: Any = (*np.atleast_1d(level).tolist(), 0.0, 0.0, 0.0)[:4]  # a scalar, which OpenCV's type stubs do not allow
    apart = cv2.absdiff(apart, levels)
    if apart.ndim == 2:
        return apart
    blue, green, red = cv2.split(apart)
    return cv2.max(cv2.max(blue, green), red)


def noise_of(apart: np.ndarray) -> float:
    """Standard deviation of the noise, from the small differences; the large ones are people's."""
    sample = apart[::SPARSE, ::SPARSE]
    small = sample[sample <= 4 * max(LEAST_NOISE, float(np.median(sample)))]
    return float(np.sqrt(np.mean(small**2)))


def moved(apart: np.ndarray, threshold: float, unit: int) -> np.ndarray:
    """The pixels of people, uint8 [height, width], 0 or 1, without specks."""
    outline = OUTLINE * cv2.dilate(apart, np.ones((2 * unit + 1, 2 * unit + 1)))
    mask: np.ndarray = ((apart > threshold) & (apart >= outline)).astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((2 * unit + 1, 2 * unit + 1)))
    return cv2.morphologyEx(mask, cv2.MORPH_OPEN, _disc(unit * DETAIL))


def parts(mask: np.ndarray, unit: int) -> tuple[int, np.ndarray, np.ndarray]:
    """The connected parts of :func:`moved`, as OpenCV counts them from 0, the background: their number, labels and figures.

    Parts of one person may be apart where clothes look like the background.
    """
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((2 * unit * PARTED + 1,) * 2))
    count, labels, figures, _ = cv2.connectedComponentsWithStats(closed)
    return count, labels, figures


def without_gaps(mask: np.ndarray, unit: int) -> np.ndarray:
    """The same pixels with narrow gaps closed."""
    return cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _disc(unit * GAP))


def fill(mask: np.ndarray, area: int) -> None:
    """Fill holes that are small for a person of this many pixels, in place."""
    _, labels, figures, _ = cv2.connectedComponentsWithStats(1 - mask, connectivity=4)
    hole = figures[:, cv2.CC_STAT_AREA] < LARGEST_HOLE * area
    hole[0] = False
    mask[hole[labels]] = 1


def _disc(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
