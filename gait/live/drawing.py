"""Names and outlines drawn on a picture."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from gait.live.pipeline import Seen
from gait.live.votes import Votes

KNOWN, UNKNOWN, WAITING = (80, 220, 80), (80, 80, 255), (200, 200, 200)
AROUND = ((-1, 0), (1, 0), (0, -1), (0, 1))
FONT, SCALE_ROWS = cv2.FONT_HERSHEY_SIMPLEX, 360


def drawn(seen: Seen, votes: Callable[[int], Votes]) -> np.ndarray:
    """A copy of a picture with each person's outline, name and votes."""
    image = seen.frame.image.copy()
    scale = max(0.4, 0.55 * image.shape[0] / SCALE_ROWS)
    for track in seen.tracks:
        if track.person is None:
            continue
        said = votes(track.number)
        colour = WAITING if not said.said else KNOWN if said.name is not None else UNKNOWN
        outlines, _ = cv2.findContours(track.person.mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        left, top, width, height = track.person.box
        cv2.drawContours(image, outlines, -1, colour, 1, cv2.LINE_AA, offset=(left, top))
        text = label(said)
        (wide, high), below = cv2.getTextSize(text, FONT, scale, 1)
        x = min(max(0, left + width // 2 - wide // 2), max(0, image.shape[1] - wide))
        y = top - below - 2 if top > high + below + 4 else min(image.shape[0] - below, top + height + high + 4)
        for across, down in AROUND:  # a bolder text would be wider than what it should lie behind
            cv2.putText(image, text, (x + across, y + down), FONT, scale, (0, 0, 0), 1, cv2.LINE_AA)
        cv2.putText(image, text, (x, y), FONT, scale, colour, 1, cv2.LINE_AA)
    return image


def label(votes: Votes) -> str:
    """A name, and how many of the last windows agree."""
    if not votes.said:
        return "..."
    name = "unknown" if votes.name is None else votes.name
    # OpenCV's fonts have ASCII alone.
    name = name.encode("ascii", "replace").decode()
    return f"{name} {votes.agreed} of {len(votes.said)}"
