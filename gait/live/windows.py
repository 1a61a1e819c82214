"""Sliding windows of aligned silhouettes, one for each track."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import cv2
import numpy as np

from gait.data.modalities import silhouettes
from gait.live.people import Person

BROKEN = 0.4  # s without a silhouette, after which a window begins anew
FASTER = 1.25  # times the rate that the network knows: more frames than that are left out
BESIDE = 2  # heights of black on both sides: alignment rounds widths down, which would make narrow pictures narrower
SIDEWAYS = 0.25  # heights within a window: whoever moves less goes towards the camera or away from it
STILL = 6.0  # grey levels by which the legs' silhouettes must differ on average: whoever stands shows no gait
LEGS = 0.6  # of the height, from above: where legs begin


@dataclass
class Window:
    """The last aligned silhouettes of one person.

    Attributes:
        length: silhouettes in a window.
        step: new silhouettes from a window to the next.
        fps: frames a second that the network knows.
        pixels: height and width of a silhouette.
    """

    length: int
    step: int
    fps: float
    pixels: int
    frames: deque[np.ndarray] = field(default_factory=deque)
    places: deque[float] = field(default_factory=deque)  # where each was in the picture: its middle's column, in heights
    fresh: int = 0  # silhouettes since the last window
    last: float = -np.inf  # when the last silhouette was, in s

    def add(self, person: Person, now: float) -> np.ndarray | None:
        """Take a silhouette; returns a window, uint8 [length, pixels, pixels], whenever one is full."""
        if (now - self.last) * self.fps * FASTER < 1:
            return None
        beside = BESIDE * person.height
        wide = cv2.copyMakeBorder(person.mask, 0, 0, beside, beside, cv2.BORDER_CONSTANT)
        aligned = silhouettes.align(wide, self.pixels)
        if aligned is None:
            return None
        if now - self.last > BROKEN:
            self.frames.clear()
            self.places.clear()
            self.fresh = 0
        self.last = now
        self.frames.append(aligned)
        self.places.append((person.left + person.width / 2) / person.height)
        self.fresh += 1
        while len(self.frames) > self.length:
            self.frames.popleft()
            self.places.popleft()
        if len(self.frames) < self.length or self.fresh < self.step:
            return None
        self.fresh = 0
        window = np.stack(self.frames)
        return window if walks(window) else None

    @property
    def side(self) -> str | None:
        """To which side of the picture the person walks, "left" or "right"; None for towards the camera or away from it."""
        moved = self.places[-1] - self.places[0] if self.places else 0.0
        return None if abs(moved) < SIDEWAYS else "right" if moved > 0 else "left"


def walks(window: np.ndarray) -> bool:
    """Whether the legs move in aligned silhouettes, uint8 [n, pixels, pixels]."""
    legs = window[:, int(LEGS * window.shape[1]) :].astype(np.float32)
    return bool(legs.std(0).mean() > STILL)
