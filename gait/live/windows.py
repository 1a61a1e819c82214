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
            self.fresh = 0
        self.last = now
        self.frames.append(aligned)
        self.fresh += 1
        while len(self.frames) > self.length:
            self.frames.popleft()
        if len(self.frames) < self.length or self.fresh < self.step:
            return None
        self.fresh = 0
        window = np.stack(self.frames)
        return window if walks(window) else None


def walks(window: np.ndarray) -> bool:
    """Whether the legs move in aligned silhouettes, uint8 [n, pixels, pixels]."""
    legs = window[:, int(LEGS * window.shape[1]) :].astype(np.float32)
    return bool(legs.std(0).mean() > STILL)
