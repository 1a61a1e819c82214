"""A walking person's silhouettes from the frames of a fixed camera, by background subtraction.

The background is the median of a walk's frames, or a picture of the empty place where a dataset has one. (Mixture models
such as OpenCV's MOG2 need longer videos: in the two or three seconds of a walk they learn the person too.)
:mod:`gait.data.readers.subtraction` says which pixels are the person's. The largest connected part counts, and small holes
in it are closed.

Limits: the camera must not move or zoom, its exposure may change only as a whole, and there must be one person who walks
across the picture. A person who comes straight towards the camera or stands still covers the same pixels most of the time
and becomes background, unless there is a picture of it. Several people become one silhouette. Sharp shadows count as part
of the person. Where that does not suit, bring silhouettes from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np

from gait.data.readers import Faults, subtraction

RIVAL = 0.5  # of the person's area: what else moves and is as large may as well be the person
MEDIAN_FRAMES = 61  # these show the background as well as all frames do


def silhouettes(frames: Sequence[np.ndarray], background: np.ndarray | None = None) -> list[np.ndarray]:
    """A silhouette for each frame of a walk.

    Args:
        frames: uint8 [height, width] or [height, width, 3], all of one shape.
        background: the same place without the person, of the same shape; without it, the median of the frames.

    Returns:
        uint8 [height, width] each, 0 or 255; all 0 where nobody is seen or the left or right edge cuts the person off.
    """
    return [mask for mask, _ in _each(frames, background)]


def _each(frames: Sequence[np.ndarray], background: np.ndarray | None) -> list[tuple[np.ndarray, bool]]:
    """The silhouette of each frame, and whether something else that is about as large moves there too."""
    if not frames:
        return []
    if background is None:
        chosen = np.linspace(0, len(frames) - 1, min(len(frames), MEDIAN_FRAMES)).round().astype(int)
        background = np.median([frames[index] for index in chosen], axis=0)
    background = background.astype(np.float32)
    unit = subtraction.unit_of(frames[0].shape[0])
    noise = [subtraction.noise_of(subtraction.difference(frame, background)) for frame in frames]
    threshold = subtraction.NOISE_FACTOR * max(subtraction.LEAST_NOISE, float(np.median(noise)))
    return [_person(subtraction.difference(frame, background), threshold, unit) for frame in frames]


def _person(apart: np.ndarray, threshold: float, unit: int) -> tuple[np.ndarray, bool]:
    mask = subtraction.moved(apart, threshold, unit)
    count, parts, sizes = subtraction.parts(mask, unit)
    if count == 1:
        return mask, False
    areas, smallest = np.sort(sizes[1:, cv2.CC_STAT_AREA]), subtraction.SMALLEST_PERSON * mask.size
    rival = count > 2 and areas[-2] > max(RIVAL * areas[-1], smallest)
    mask = subtraction.without_gaps(mask, unit)
    mask[parts != 1 + sizes[1:, cv2.CC_STAT_AREA].argmax()] = 0
    area = int(mask.sum())
    if area < smallest or mask[:, [0, -1]].any():
        return np.zeros_like(mask), bool(rival)
    subtraction.fill(mask, area)
    return 255 * mask, bool(rival)


class Footage:
    """A walk's colour frames in the form that :class:`gait.data.readers.Clip` needs, read once and freed with the clip.

    Args:
        frames: reads the frames, uint8 [height, width, 3], all of one shape, and adds what is wrong to its list of faults.
        background: reads the picture of the empty place in the same way, or returns None.
    """

    def __init__(
        self,
        frames: Callable[[Faults], list[np.ndarray]],
        background: Callable[[Faults], np.ndarray | None] = lambda faults: None,
    ) -> None:
        self._read, self._read_background = frames, background
        self._frames: list[np.ndarray] | None = None
        self._faults: Faults = []
        self.rivals = 0  # frames in which something else that is about as large moves too, once silhouettes are made

    def silhouettes(self, faults: Faults) -> Mapping[int, np.ndarray]:
        frames, background_faults = self._take(faults), list[str]()
        background = self._read_background(background_faults)
        if background is not None and frames and background.shape != frames[0].shape:
            background_faults.append("the picture of the background and the frames differ in size, and it is not used")
            background = None
        faults += background_faults
        masks = _each(frames, background)
        self.rivals = sum(rival for _, rival in masks)
        return {number: mask for number, (mask, _) in enumerate(masks, start=1)}

    def video(self, faults: Faults) -> list[np.ndarray]:
        return [cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY) for frame in self._take(faults)]

    def _take(self, faults: Faults) -> list[np.ndarray]:
        if self._frames is None:
            self._frames = self._read(self._faults)
        faults += [fault for fault in self._faults if fault not in faults]
        return self._frames
