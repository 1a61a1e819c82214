"""Names beside the points of a plot, placed so that they cover neither each other nor a point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

DISTANCES_PT = (9, 14, 20, 28, 38, 50, 64)
ANGLES = tuple(math.radians(degrees) for degrees in (0, 180, 45, 135, 315, 225, 90, 270, 22, 158, 338, 202))
LEADER_FROM_PT = 18
POINT_PX = 0.075  # half the size of a point's marker, in inches
Box = tuple[float, float, float, float]  # left, bottom, right, top in pixels


@dataclass(frozen=True)
class Label:
    """The name of the point (x, y), in data coordinates; important labels are bold and choose their place first."""

    x: float
    y: float
    text: str
    colour: str
    important: bool


def place_labels(axes: Any, labels: Sequence[Label]) -> None:
    """Write each label at the best free place near its point; draw the figure once before.

    It leaves out a label that fits nowhere: the table has all variants.
    """
    figure = axes.figure
    renderer = figure.canvas.get_renderer()
    size = figure.dpi * POINT_PX
    positions = {label: axes.transData.transform((label.x, label.y)) for label in labels}
    markers = [(x - size, y - size, x + size, y + size) for x, y in positions.values()]
    bars = [_box(line.get_window_extent(renderer)) for line in axes.lines if line.get_drawstyle() == "default"]
    steps = [segment for line in axes.lines if line.get_drawstyle() != "default" for segment in _segments(axes, line)]
    frame = _box(axes.get_window_extent(renderer))
    taken: list[Box] = []
    for label in sorted(labels, key=lambda label: (not label.important, label.x, -label.y, label.text)):
        x, y = positions[label]
        written = axes.annotate(
            label.text,
            (label.x, label.y),
            xytext=(0, 0),
            textcoords="offset points",
            color=label.colour,
            fontsize=8.5,
            fontweight="bold" if label.important else "normal",
            va="center",
            zorder=6,
        )
        extent = written.get_window_extent(renderer)
        best = _best(x, y, extent.width + 4, extent.height + 1, figure.dpi / 72, (markers, bars, steps, taken), frame)
        if best is None:
            written.remove()
            continue
        box, distance = best
        taken.append(box)
        # In points, not pixels: the file may have another resolution than this drawing.
        written.set_position(_offset(box, x, y, figure.dpi / 72))
        if distance > LEADER_FROM_PT:
            _leader(axes, x, y, box, label.colour)


def _best(
    x: float, y: float, width: float, height: float, scale: float, obstacles: tuple, frame: Box
) -> tuple[Box, float] | None:
    markers, bars, steps, taken = obstacles
    best = None
    for distance in DISTANCES_PT:
        for preference, angle in enumerate(ANGLES):
            centre_x = x + math.cos(angle) * (distance * scale + width / 2 * abs(math.cos(angle)))
            centre_y = y + math.sin(angle) * (distance * scale + height / 2)
            box = (centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2)
            if not _inside(box, frame) or any(_overlap(box, other) for other in (*taken, *markers)):
                continue
            cost = distance + preference / 4
            cost += 14 * sum(_overlap(box, bar) for bar in bars) + 10 * sum(_overlap(box, step) for step in steps)
            if best is None or cost < best[0]:
                best = (cost, box, distance)
    return best and best[1:]


def _offset(box: Box, x: float, y: float, scale: float) -> tuple[float, float]:
    """The offset from the point to the left end of the text, in points; the box has 2 px to spare on either side."""
    return (box[0] + 2 - x) / scale, ((box[1] + box[3]) / 2 - y) / scale


def _leader(axes: Any, x: float, y: float, box: Box, colour: str) -> None:
    near_x, near_y = min(max(x, box[0]), box[2]), min(max(y, box[1]), box[3])
    (from_x, to_x), (from_y, to_y) = axes.transData.inverted().transform([(x, y), (near_x, near_y)]).T
    axes.plot([from_x, to_x], [from_y, to_y], color=colour, linewidth=0.6, alpha=0.7, zorder=4, scalex=False, scaley=False)


def _segments(axes: Any, line: Any) -> list[Box]:
    """The flat boxes of a staircase's treads and rises."""
    points = axes.transData.transform(line.get_xydata())
    boxes = []
    for (x0, y0), (x1, y1) in pairwise(points):
        boxes += [(x0, y0 - 1, x1, y0 + 1), (x1 - 1, min(y0, y1), x1 + 1, max(y0, y1))]
    return boxes


def _box(extent: Any) -> Box:
    return extent.x0, extent.y0, extent.x1, extent.y1


def _inside(box: Box, frame: Box) -> bool:
    return box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]


def _overlap(box: Box, other: Box) -> bool:
    return box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
