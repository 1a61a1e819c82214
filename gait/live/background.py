"""People by background subtraction: a still camera, and a picture of the empty place that follows slow changes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from gait.data.readers import subtraction
from gait.live.people import Person, person_of

EVERY = 5  # frames: the background changes slowly, so it is enough to follow it now and then
FOLLOWED, ABSORBED = 0.1, 0.004  # shares of a picture that the background takes over: of empty places, of those with people
CHANGED = 0.6  # of the picture: so much moves only if the light or the camera changed
SPECK = 0.0004  # of the picture: smaller parts are nobody's
ABOVE = 0.5  # of the narrower part's width: parts that share so many columns may be one person's
GAP = 0.2  # of their height together, that may be between them: clothes can look like the background


class Background:
    """A :class:`gait.live.people.Masks` that learns the empty place as the median of pictures.

    Whoever stands still becomes background in about a minute.
    """

    def __init__(self) -> None:
        self._place: np.ndarray | None = None
        self._noise = subtraction.LEAST_NOISE
        self._seen = 0

    def learn(self, frames: Sequence[np.ndarray]) -> None:
        self._place = np.median(np.stack(frames), axis=0).astype(np.float32)
        noise = [subtraction.noise_of(subtraction.difference(frame, self._place)) for frame in frames]
        self._noise = max(subtraction.LEAST_NOISE, float(np.median(noise)))

    def people(self, frame: np.ndarray) -> list[Person]:
        assert self._place is not None, "learn() comes first"
        unit = subtraction.unit_of(frame.shape[0])
        mask = subtraction.moved(subtraction.difference(frame, self._place), subtraction.NOISE_FACTOR * self._noise, unit)
        self._seen += 1
        if mask.mean() > CHANGED:
            self._place = frame.astype(np.float32)
            return []
        count, labels, figures = subtraction.parts(mask, unit)
        if self._seen % EVERY == 0:
            self._follow(frame, mask, unit)
        if count == 1:
            return []
        mask = subtraction.without_gaps(mask, unit)
        parts = [(label, *figures[label, :4].tolist()) for label in range(1, count) if figures[label, 4] > SPECK * mask.size]
        people = []
        for group in _upright(parts):
            left, top = min(part[1] for part in group), min(part[2] for part in group)
            right, bottom = max(part[1] + part[3] for part in group), max(part[2] + part[4] for part in group)
            box = slice(top, bottom), slice(left, right)
            own = mask[box] * np.isin(labels[box], [part[0] for part in group])
            area = int(own.sum())
            if area < subtraction.SMALLEST_PERSON * mask.size:
                continue
            own = np.pad(own.astype(np.uint8), 1)  # what is outside of the person is no hole
            subtraction.fill(own, area)
            person = person_of(255 * own[1:-1, 1:-1], left, top, frame.shape[:2])
            if person is not None:
                people.append(person)
        return people

    def _follow(self, frame: np.ndarray, mask: np.ndarray, unit: int) -> None:
        assert self._place is not None
        people = cv2.dilate(mask, np.ones((4 * unit + 1,) * 2))
        cv2.accumulateWeighted(frame, self._place, FOLLOWED, 1 - people)
        cv2.accumulateWeighted(frame, self._place, ABSORBED, people)


def _upright(parts: list[tuple[int, int, int, int, int]]) -> list[list[tuple[int, int, int, int, int]]]:
    """Parts (label, left, top, width, height) in groups of one person each: those above each other belong together."""
    groups: list[list[tuple[int, int, int, int, int]]] = []
    for part in sorted(parts, key=lambda part: part[2]):
        _, left, top, width, height = part
        for group in groups:
            first, last = group[0], group[-1]
            shared = min(left + width, last[1] + last[3]) - max(left, last[1])
            between = top - max(other[2] + other[4] for other in group)
            if shared > ABOVE * min(width, last[3]) and between <= GAP * (top + height - first[2]):
                group.append(part)
                break
        else:
            groups.append([part])
    return groups
