"""Augmentation of optical-flow samples, as in the 2D/3D-CNN study."""

from __future__ import annotations

import cv2
import numpy as np

SHIFTS_PX = (-5, -3, 0, 3, 5)
ZOOM = (0.96, 1.04)
FASTEST_PX, SLOWEST_PX = 23.0, 0.5
STORED_PER_PX = 100
CHANNELS_AT_ONCE = 4  # the most that OpenCV warps in one call


def augmented_flow(sample: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A randomly changed copy of a stored sample.

    With probability 3/4, all channels are shifted and zoomed alike and, half of those times, mirrored, which changes the
    sign of horizontal flow. Independently, with probability 1/2, implausibly large and small flow is set to 0.

    Args:
        sample: int16 [60, 60, 50], flow in px times 100, x and y interleaved.
        rng: the source of randomness.

    Returns:
        int16 [60, 60, 50].
    """
    changed = np.array(sample)
    if rng.random() < 0.75:
        changed = _moved(sample, rng.choice(SHIFTS_PX, 2), rng.uniform(*ZOOM))
        if rng.random() < 0.5:
            changed = changed[:, ::-1].copy()
            changed[:, :, 0::2] *= -1
    if rng.random() < 0.5:
        size = np.abs(changed)
        keep = (size <= FASTEST_PX * STORED_PER_PX) & (size >= SLOWEST_PX * STORED_PER_PX)
        changed = np.where(keep, changed, 0).astype(np.int16)
    return changed


def _moved(sample: np.ndarray, shift: np.ndarray, zoom: float) -> np.ndarray:
    """Zoom about the centre, then shift by (x, y) px; pixels from outside are 0."""
    height, width, channels = sample.shape
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    matrix = np.array([[zoom, 0, centre_x * (1 - zoom) + shift[0]], [0, zoom, centre_y * (1 - zoom) + shift[1]]])
    bands = [
        cv2.warpAffine(np.ascontiguousarray(sample[:, :, first : first + CHANNELS_AT_ONCE]), matrix, (width, height))
        for first in range(0, channels, CHANNELS_AT_ONCE)
    ]
    return np.concatenate([band.reshape(height, width, -1) for band in bands], axis=2)
