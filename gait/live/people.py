"""The people in a picture: the contract between what finds them and what follows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from gait.data import plausibility

LEAST_ROWS = 40  # px: whoever is smaller is too far away to be told from others
MARGIN = 1  # px to the picture's edge that a whole person keeps


@dataclass(frozen=True)
class Person:
    """Somebody in a picture.

    Attributes:
        left, top: of the box around the person, in px of the picture.
        mask: uint8 [height, width] of that box, 255 where the person is, else 0.
        whole: whether the picture's edges cut nothing off.
        aside: whether the left or the right edge cuts something off.
    """

    left: int
    top: int
    mask: np.ndarray
    whole: bool = True
    aside: bool = False

    @property
    def height(self) -> int:
        return int(self.mask.shape[0])

    @property
    def width(self) -> int:
        return int(self.mask.shape[1])

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, width and height, in px."""
        return self.left, self.top, self.width, self.height

    @property
    def area(self) -> int:
        """The number of the person's pixels."""
        return int(np.count_nonzero(self.mask))

    @property
    def centre(self) -> tuple[float, float]:
        """The centre of mass, in px of the picture."""
        moments = cv2.moments(self.mask, binaryImage=True)
        return self.left + moments["m10"] / moments["m00"], self.top + moments["m01"] / moments["m00"]

    @property
    def plausible(self) -> bool:
        """Whether the mask has the form of one walking person."""
        cover = self.area / self.mask.size
        return self.width <= plausibility.WIDEST * self.height and plausibility.THINNEST < cover < plausibility.FULLEST


class Masks(Protocol):
    """What finds people: background subtraction, or a detector and a segmenter."""

    def learn(self, frames: Sequence[np.ndarray]) -> None:
        """Look at pictures of the place before anybody is looked for; all of one size. Called anew when the size changes."""
        ...

    def people(self, frame: np.ndarray) -> list[Person]:
        """Everybody in a picture, uint8 [height, width, 3] (blue, green, red), of the size that was learnt.

        People who hide each other may come as one; then they are told apart by their tracks once they part.
        """
        ...


def person_of(mask: np.ndarray, left: int = 0, top: int = 0, size: tuple[int, int] | None = None) -> Person | None:
    """The person of a mask, uint8 [height, width], of which the box may be smaller; None if the person is too small.

    Args:
        mask: bright where the person is.
        left, top: where its corner is in the picture.
        size: height and width of the picture, if the mask is not as large.
    """
    x, y, width, height = cv2.boundingRect(mask)
    if height < LEAST_ROWS:
        return None
    rows, columns = size or mask.shape[:2]
    left, top = left + x, top + y
    aside = left < MARGIN or left + width > columns - MARGIN
    whole = not aside and top >= MARGIN and top + height <= rows - MARGIN
    cut = np.where(mask[y : y + height, x : x + width] > 127, np.uint8(255), np.uint8(0))
    return Person(left, top, cut, whole, aside)
