"""Whether a walk's silhouettes can be one walking person's: their form, and how size, place and shape change.

Background subtraction takes what moves most. In clips of several people, with trees in the wind or with boxes that somebody
drew in, that is not always the person. Nothing here is a proof; look at the pictures that a warning names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

FEW = 5  # frames, with which nothing can be said
WIDEST = 1.0  # widths in a height: a person's stride and arms are narrower
THINNEST, FULLEST = 0.22, 0.85  # shares of the box around a person that the person covers
SIZE = 0.25  # of the walk's own height: nobody grows or shrinks by that much from frame to frame
STEP = 0.35  # heights that a person goes from a frame to the next
SIMILAR = 0.5  # overlap of one frame's shape with the next one's
PART = 0.35  # of the largest part, in area: another part that is as large is no piece of the same person
STRAIGHT = 0.6  # of the height, along both sides: a person's sides are no lines
DOUBTFUL = 0.15  # share of the frames


@dataclass(frozen=True)
class Shape:
    """A silhouette in a frame: its box, its centre of mass in pixels, how much of the box it covers, its second part."""

    number: int
    box: tuple[int, int, int, int]  # left, top, width, height
    centre: tuple[float, float]
    cover: float
    second: float
    straight: bool
    mask: np.ndarray


def doubts(frames: Mapping[int, np.ndarray], rivals: int = 0) -> dict[str, float]:
    """Reasons to doubt a walk's silhouettes, each with the share of the frames that it holds for; empty if there are none.

    Args:
        frames: uint8 [height, width] each, not aligned, by frame number.
        rivals: in how many of them something else moves that is about as large.
    """
    shapes = [shape for number, frame in sorted(frames.items()) if (shape := _shape(number, frame)) is not None]
    if len(shapes) < FEW:
        return {}
    pairs = [(a, b) for a, b in zip(shapes, shapes[1:]) if b.number - a.number <= 2]
    height = float(np.median([shape.box[3] for shape in shapes]))
    reasons = {
        "wider than high": [shape.box[2] > WIDEST * shape.box[3] for shape in shapes],
        "not filled like a person": [not THINNEST < shape.cover < FULLEST for shape in shapes],
        "with straight sides, as drawn boxes have": [shape.straight for shape in shapes],
        "of several parts": [shape.second > PART for shape in shapes],
        "another size than the frame before": [abs(b.box[3] - a.box[3]) > SIZE * height for a, b in pairs],
        "another place than the frame before": [_moved(a, b) > STEP * height * (b.number - a.number) for a, b in pairs],
        "another shape than the frame before": [_overlap(a, b) < SIMILAR for a, b in pairs],
    }
    shares = {"not the only thing of its size that moves": rivals / len(frames)}
    shares |= {reason: float(np.mean(holds)) for reason, holds in reasons.items() if holds}
    return {reason: share for reason, share in shares.items() if share > DOUBTFUL}


def _shape(number: int, frame: np.ndarray) -> Shape | None:
    mask = (frame > 127).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count == 1:
        return None
    left, top, width, height = cv2.boundingRect(mask)
    areas = sorted(stats[1:, cv2.CC_STAT_AREA].tolist(), reverse=True)
    moments = cv2.moments(mask, binaryImage=True)
    centre = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
    cut = mask[top : top + height, left : left + width]
    second = areas[1] / areas[0] if len(areas) > 1 else 0.0
    return Shape(number, (left, top, width, height), centre, float(cut.mean()), second, _straight(cut), cut)


def _straight(mask: np.ndarray) -> bool:
    """Whether lines run along both the left and the right side of a shape."""
    columns = mask.mean(0)
    edge = max(1, len(columns) // 8)
    return bool(min(columns[:edge].max(), columns[-edge:].max()) > STRAIGHT)


def _moved(before: Shape, after: Shape) -> float:
    return float(np.hypot(after.centre[0] - before.centre[0], after.centre[1] - before.centre[1]))


def _overlap(before: Shape, after: Shape) -> float:
    """Intersection over union of two shapes, laid over each other by their centres of mass."""
    corners = [(shape.box[0] - round(shape.centre[0]), shape.box[1] - round(shape.centre[1])) for shape in (before, after)]
    left, top = min(x for x, _ in corners), min(y for _, y in corners)
    right = max(x + shape.box[2] for (x, _), shape in zip(corners, (before, after)))
    bottom = max(y + shape.box[3] for (_, y), shape in zip(corners, (before, after)))
    laid = np.zeros((2, bottom - top, right - left), bool)
    for plane, (x, y), shape in zip(laid, corners, (before, after)):
        plane[y - top : y - top + shape.box[3], x - left : x - left + shape.box[2]] = shape.mask
    return float((laid[0] & laid[1]).sum() / (laid[0] | laid[1]).sum())
