"""Telling silhouettes from other pictures, and bringing those that were written otherwise to 0 and 255.

Silhouettes are written in many ways: as 0 and 1, of 16 bits, as a palette's colours, resized with grey edges, as JPEG files
with noise around the person. One frame does not show which way it is, so all frames of a walk decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np

FULL = 255
NEARLY_BLACK = 15  # a walk without a brighter pixel, and of more than two levels, shows nothing
DARK, BRIGHT = 32, 223  # JPEG files of black and white stay within these except at the person's outline
EDGE = np.ones((5, 5), np.uint8)  # a resized outline is grey for two pixels to each side
NEXT = np.ones((3, 3), np.uint8)
MOST_INNER_GREY = 0.02  # of a silhouette's pixels, grey ones that are not at its outline; photographs have many
MOST_GREY = 0.5
MOSTLY = 0.9  # of the pixels around a silhouette, or of the frames looked at
MOST_GREY_OF_SHARP = 0.05  # of the outline's pixels: JPEG files of sharp ones have 0 to 2 %, of resized ones 8 to 30 %


def brightened(frames: Sequence[np.ndarray]) -> tuple[Sequence[np.ndarray], int]:
    """A walk's silhouettes with the person at 255, where they have only two levels, and the person's level before that.

    Args:
        frames: uint8 [height, width] each.

    Returns:
        The frames, unchanged if they have levels besides 0 and the brightest, and the brightest level; 0 if all are black.
    """
    brightest = 0
    for frame in frames:
        brightest = max(brightest, int(frame.max()))
        if brightest == FULL:
            return frames, FULL
    if not brightest or not all(((frame == 0) | (frame == brightest)).all() for frame in frames):
        return frames, brightest
    return [np.where(frame, np.uint8(FULL), np.uint8(0)) for frame in frames], brightest


def of_eight_bits(frames: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
    """A walk's frames as uint8: of 16 bits the high eight, if any frame of the walk uses them."""
    if not any(frame.dtype == np.uint16 for frame in frames.values()):
        return dict(frames)
    wide = [frame for frame in frames.values() if frame.dtype == np.uint16]
    shift = 8 if max(int(frame.max()) for frame in wide) > FULL else 0
    return {
        number: (frame >> shift).astype(np.uint8) if frame.dtype == np.uint16 else frame for number, frame in frames.items()
    }


def without_compression_noise(frame: np.ndarray) -> np.ndarray:
    """A silhouette from a JPEG file, uint8 [height, width], black and white again.

    The outline stays grey where it was, as in resized silhouettes. Noise around the person would count as the person's rows.
    """
    person = (frame > FULL // 2).astype(np.uint8)
    if person.min() == person.max():
        return frame
    outline = (cv2.dilate(person, NEXT) > 0) & (cv2.erode(person, NEXT) == 0)
    if ((frame > FULL // 4) & (frame < FULL - FULL // 4))[outline].mean() < MOST_GREY_OF_SHARP:
        return person * np.uint8(FULL)
    clean = np.where(frame <= DARK, 0, np.where(frame >= BRIGHT, FULL, frame)).astype(np.uint8)
    clean[cv2.dilate(person, NEXT) == 0] = 0
    clean[cv2.erode(person, NEXT) > 0] = FULL
    return clean


def one_channel(frame: np.ndarray | None) -> np.ndarray | None:
    """The channel of a picture [height, width] or [height, width, 3 or 4], uint8 or uint16, that shows the person."""
    if frame is None or frame.dtype not in (np.uint8, np.uint16):
        return None
    if frame.ndim == 2:
        return frame
    shown = cv2.cvtColor(frame[..., :3], cv2.COLOR_BGR2GRAY)
    if frame.shape[2] == 4:
        alpha = np.ascontiguousarray(frame[..., 3])
        # Of a person who was cut out, or of one colour alone, the outline is in the alpha channel.
        one_colour = shown.min() == shown.max()
        if alpha.min() < alpha.max() and (one_colour or not shows_silhouettes([shown])):
            return alpha
    return shown


def is_inverted(frame: np.ndarray) -> bool:
    """Whether a silhouette [height, width] is dark on bright: bright all around and dark somewhere within."""
    around = np.concatenate([frame[0], frame[-1], frame[:, 0], frame[:, -1]])
    return bool((around > FULL // 2).mean() > MOSTLY and (frame <= DARK).any())


def shows_silhouettes(frames: Iterable[np.ndarray]) -> bool:
    """Whether most of a walk's frames, uint8 or uint16 [height, width], are silhouettes; black ones do not count."""
    votes = votes_of(frames)
    return votes.count(True) > votes.count(False) or not votes


def votes_of(frames: Iterable[np.ndarray]) -> list[bool]:
    """Whether each frame of a walk that is not black is a silhouette."""
    read, brightest = brightened(list(of_eight_bits(dict(enumerate(frames))).values()))
    if brightest <= NEARLY_BLACK:
        return [True] * bool(brightest)
    return [_is_silhouette(frame) for frame in read if (frame > DARK).any()]


def _is_silhouette(frame: np.ndarray) -> bool:
    dark, bright = (frame <= DARK).astype(np.uint8), (frame >= BRIGHT).astype(np.uint8)
    grey = (dark | bright) == 0
    outline = cv2.bitwise_and(cv2.dilate(dark, EDGE), cv2.dilate(bright, EDGE))
    inner = grey & (outline == 0)
    return bool(bright.any() and grey.mean() <= MOST_GREY and inner.mean() <= MOST_INNER_GREY)
