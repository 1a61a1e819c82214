"""Augmentation of silhouettes: random changes of a sequence, the same for all its frames.

What is random is drawn first, as a :data:`Step`; to carry it out is another matter: here by the processor, on a GPU by
:mod:`gait.training.torch.device_augmentation`. The keyword arguments of ``flip``, ``rotate``, ``affine`` and ``erase`` are
what an entry of ``augment`` in params.yaml may set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np

from gait.errors import DataError
from gait.keywords import check_keywords


@dataclass(frozen=True)
class Mirroring:
    """Left becomes right."""

    def of(self, frames: np.ndarray) -> np.ndarray:
        """uint8 [n, height, width], in and out."""
        return frames[:, :, ::-1]


@dataclass(frozen=True)
class Warp:
    """An affine map; what comes in from outside is 0.

    Attributes:
        matrix: float64 [2, 3], from (x, y, 1) before to (x, y) after, in px.
    """

    matrix: np.ndarray

    def of(self, frames: np.ndarray) -> np.ndarray:
        """uint8 [n, height, width], in and out."""
        size = frames.shape[2], frames.shape[1]
        return np.stack([cv2.warpAffine(frame, self.matrix, size) for frame in frames])


@dataclass(frozen=True)
class Erasure:
    """A rectangle set to 0."""

    top: int
    left: int
    rows: int
    columns: int

    def of(self, frames: np.ndarray) -> np.ndarray:
        """uint8 [n, height, width], in and out."""
        erased = frames.copy()
        erased[:, self.top : self.top + self.rows, self.left : self.left + self.columns] = 0
        return erased


Step = Mirroring | Warp | Erasure


@dataclass(frozen=True)
class Change:
    """An entry of ``augment``.

    Attributes:
        probability: how often it happens.
        draw: what happens then, to frames of (height, width).
    """

    probability: float
    draw: Callable[[tuple[int, int], np.random.Generator], Step]

    def drawn(self, size: tuple[int, int], rng: np.random.Generator) -> Step | None:
        """What is to be done to a sequence, if anything."""
        return self.draw(size, rng) if rng.random() < self.probability else None

    def __call__(self, frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The sequence, uint8 [n, height, width], after it."""
        step = self.drawn((frames.shape[1], frames.shape[2]), rng)
        return frames if step is None else step.of(frames)


def changes(described: Sequence[Mapping[str, Any]]) -> list[Change]:
    """The changes that entries of ``augment`` describe, each of which happens with its ``probability``.

    Args:
        described: for each change its ``name``, its ``probability`` and its settings.

    Raises:
        DataError: there is no such change, or it does not take these settings.
    """
    return [_change(**each) for each in described]


def _change(name: str, probability: float, **settings: Any) -> Change:
    known: dict[str, Callable[..., Step]] = {change.__name__: change for change in (flip, rotate, affine, erase)}
    if name not in known:
        raise DataError(f"augment {name}: there is no such change; there are: {', '.join(known)}")
    check_keywords(f"augment {name}", known[name], settings)
    return Change(probability, partial(known[name], **settings))


def flip(size: tuple[int, int], rng: np.random.Generator) -> Step:
    """The mirror image: the person walks the other way."""
    return Mirroring()


def rotate(size: tuple[int, int], rng: np.random.Generator, *, degrees: float = 10.0) -> Step:
    """Turned about the centre by up to ``degrees`` either way."""
    return _warp(size, rng.uniform(-degrees, degrees))


def affine(
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    degrees: float = 5.0,
    scale: tuple[float, float] = (0.9, 1.1),
    shear: float = 5.0,
    shift: float = 0.05,
) -> Step:
    """Turned, scaled, slanted and shifted.

    Args:
        size: height and width of the frames.
        rng: source of randomness.
        degrees: turned by up to this either way.
        scale: least and most factor of the size.
        shear: slanted by up to this many degrees either way.
        shift: moved by up to this share of the size along each axis.
    """
    height, width = size
    move = rng.uniform(-shift, shift, 2) * (width, height)
    return _warp(size, rng.uniform(-degrees, degrees), rng.uniform(*scale), rng.uniform(-shear, shear), move)


def erase(
    size: tuple[int, int], rng: np.random.Generator, *, area: tuple[float, float] = (0.05, 0.2), aspect: float = 0.3
) -> Step:
    """A rectangle set to 0 (Zhong et al., AAAI 2020).

    Args:
        size: height and width of the frames.
        rng: source of randomness.
        area: least and most share of the frame.
        aspect: least ratio of the shorter side to the longer one.
    """
    height, width = size
    pixels = rng.uniform(*area) * height * width
    ratio = np.exp(rng.uniform(np.log(aspect), -np.log(aspect)))
    rows, columns = min(height, round(np.sqrt(pixels * ratio))), min(width, round(np.sqrt(pixels / ratio)))
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
    return Erasure(int(top), int(left), rows, columns)


def _warp(
    size: tuple[int, int], degrees: float, scale: float = 1.0, shear: float = 0.0, move: np.ndarray | float = 0.0
) -> Warp:
    """An affine map about the centre."""
    height, width = size
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = scale * turn @ np.array([[1, np.tan(np.deg2rad(shear))], [0, 1]])
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    return Warp(np.column_stack([linear, centre + move - linear @ centre]))
