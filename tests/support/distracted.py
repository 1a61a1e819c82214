"""Films of walkers with what disturbs background subtraction: boxes drawn in, other people, trees, things that pass."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from gait.data.walkers import Walk

Film = list[np.ndarray]


def undisturbed(walk: Walk, other: Walk) -> Film:
    return walk.video


def box_drawn_in(walk: Walk, other: Walk) -> Film:
    """A detector's box with its label, which follows the person and trembles."""
    rng = np.random.default_rng(0)
    drawn = []
    for frame, shown in zip(walk.video, walk.silhouettes, strict=True):
        frame = frame.copy()
        x, y, width, height = cv2.boundingRect(shown)
        if width:
            left, top = x - 6 + int(rng.integers(-2, 3)), y - 6 + int(rng.integers(-2, 3))
            cv2.rectangle(frame, (left, top), (left + width + 12, top + height + 12), 255, 2)
            cv2.rectangle(frame, (left, top - 14), (left + 40, top), 255, -1)
        drawn.append(frame)
    return drawn


def another_person(walk: Walk, other: Walk) -> Film:
    """A second walker who comes the other way, behind the first."""
    mixed = []
    for frame, shown, film, mask in zip(walk.video, walk.silhouettes, other.video, other.silhouettes, strict=True):
        passing, where = film[:, ::-1], (mask[:, ::-1] > 0) & (shown == 0)
        mixed.append(np.where(where, passing, frame).astype(np.uint8))
    return mixed


def tree(walk: Walk, other: Walk) -> Film:
    """A crown in the wind, at the edge of the picture, larger than the person."""
    rng = np.random.default_rng(1)
    leaves = cv2.GaussianBlur(rng.integers(0, 256, (110, 90), np.uint8), (0, 0), 2.0)
    leaves = cv2.normalize(leaves, None, 10, 240, cv2.NORM_MINMAX)  # type: ignore[call-overload]
    shaken = []
    for number, frame in enumerate(walk.video):
        frame = frame.copy()
        x, y = 8 + round(5 * np.sin(number / 2)), 12 + round(3 * np.sin(number / 3))
        frame[y : y + 110, x : x + 90] = leaves
        shaken.append(frame)
    return shaken


def thing_that_passes(walk: Walk, other: Walk) -> Film:
    """A box as large as a small car, which crosses the picture in half of the film."""
    passed = []
    for number, frame in enumerate(walk.video):
        frame = frame.copy()
        x = -120 + round(number * 880 / len(walk.video))
        if x < frame.shape[1]:
            frame[130:200, max(0, x) : max(0, x + 120)] = 235
        passed.append(frame)
    return passed


DISTURBED: dict[str, Callable[[Walk, Walk], Film]] = {
    "undisturbed": undisturbed,
    "a box drawn in": box_drawn_in,
    "another person": another_person,
    "a tree": tree,
    "a thing that passes": thing_that_passes,
}
