"""Augmentation of silhouettes: random changes of a sequence, the same for all its frames.

Each change takes uint8 frames [n, height, width] and a source of randomness, and gives frames of the same shape; its keyword
arguments are what an entry of ``augment`` in params.yaml may set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np

from gait.errors import DataError
from gait.keywords import check_keywords

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def changes(described: Sequence[Mapping[str, Any]]) -> list[Change]:
    """The changes that entries of ``augment`` describe, each of which happens with its ``probability``.

    Args:
        described: for each change its ``name``, its ``probability`` and its settings.

    Raises:
        DataError: there is no such change, or it does not take these settings.
    """
    return [_change(**each) for each in described]


def _change(name: str, probability: float, **settings: Any) -> Change:
    known: dict[str, Callable[..., np.ndarray]] = {change.__name__: change for change in (flip, rotate, affine, erase)}
    if name not in known:
        raise DataError(f"augment {name}: there is no such change; there are: {', '.join(known)}")
    check_keywords(f"augment {name}", known[name], settings)
    change = partial(known[name], **settings)
    return lambda frames, rng: change(frames, rng) if rng.random() < probability else frames


def flip(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The mirror image: the person walks the other way."""
    return frames[:, :, ::-1]


def rotate(frames: np.ndarray, rng: np.random.Generator, *, degrees: float = 10.0) -> np.ndarray:
    """Turned about the centre by up to ``degrees`` either way."""
    return _warped(frames, rng.uniform(-degrees, degrees))


def affine(
    frames: np.ndarray,
    rng: np.random.Generator,
    *,
    degrees: float = 5.0,
    scale: tuple[float, float] = (0.9, 1.1),
    shear: float = 5.0,
    shift: float = 0.05,
) -> np.ndarray:
    """Turned, scaled, slanted and shifted.

    Args:
        frames: uint8 [n, height, width].
        rng: source of randomness.
        degrees: turned by up to this either way.
        scale: least and most factor of the size.
        shear: slanted by up to this many degrees either way.
        shift: moved by up to this share of the size along each axis.
    """
    height, width = frames.shape[1:]
    move = rng.uniform(-shift, shift, 2) * (width, height)
    return _warped(frames, rng.uniform(-degrees, degrees), rng.uniform(*scale), rng.uniform(-shear, shear), move)


def erase(
    frames: np.ndarray, rng: np.random.Generator, *, area: tuple[float, float] = (0.05, 0.2), aspect: float = 0.3
) -> np.ndarray:
    """A rectangle set to 0 (Zhong et al., AAAI 2020).

    Args:
        frames: uint8 [n, height, width].
        rng: source of randomness.
        area: least and most share of the frame.
        aspect: least ratio of the shorter side to the longer one.
    """
    height, width = frames.shape[1:]
    pixels = rng.uniform(*area) * height * width
    ratio = np.exp(rng.uniform(np.log(aspect), -np.log(aspect)))
    rows, columns = min(height, round(np.sqrt(pixels * ratio))), min(width, round(np.sqrt(pixels / ratio)))
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
    erased = frames.copy()
    erased[:, top : top + rows, left : left + columns] = 0
    return erased


def _warped(
    frames: np.ndarray, degrees: float, scale: float = 1.0, shear: float = 0.0, move: np.ndarray | float = 0.0
) -> np.ndarray:
    """An affine map about the centre; what comes in from outside is 0."""
    height, width = frames.shape[1:]
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = scale * turn @ np.array([[1, np.tan(np.deg2rad(shear))], [0, 1]])
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    matrix = np.column_stack([linear, centre + move - linear @ centre])
    return np.stack([cv2.warpAffine(frame, matrix, (width, height)) for frame in frames])
