"""Augmentation of silhouettes, one file for each change; its name is the ``name`` of an entry of ``augment`` in params.yaml.

A change alters all frames of a sequence alike, at random. Its file has a function ``draw(size, rng, **settings)``. Its
keyword arguments are the settings of the entry; the others are:

- ``size``: height and width of the frames.
- ``rng``: the source of randomness.

It returns a :class:`Step`, always of the same class. A step has drawn its random numbers and can then be carried out in two
ways: the processor changes one sequence, a GPU all those of a batch (:mod:`gait.training.torch.device_augmentation`).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gait.errors import DataError
from gait.keywords import check_keywords

if TYPE_CHECKING:
    from torch import Tensor


class Step(Protocol):
    """One change of one sequence."""

    def of(self, frames: np.ndarray) -> np.ndarray:
        """The changed sequence: uint8 [n, height, width], in and out; ``frames`` stay as they are."""
        ...

    @staticmethod
    def on_device(frames: Tensor, steps: Sequence[Any]) -> Tensor:
        """Sequences changed by steps of this class, one for each sequence: floats [n, frames, height, width], in and out."""
        ...


@dataclass(frozen=True)
class Change:
    """An entry of ``augment``.

    Attributes:
        probability: the share of sequences that it changes.
        draw: draws its step for frames of (height, width).
    """

    probability: float
    draw: Callable[[tuple[int, int], np.random.Generator], Step]

    def drawn(self, size: tuple[int, int], rng: np.random.Generator) -> Step | None:
        """The step for a sequence, or None if the sequence stays as it is."""
        return self.draw(size, rng) if rng.random() < self.probability else None

    def __call__(self, frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The sequence, uint8 [n, height, width], after the change."""
        step = self.drawn((frames.shape[1], frames.shape[2]), rng)
        return frames if step is None else step.of(frames)


def changes(described: Sequence[Mapping[str, Any]]) -> list[Change]:
    """The changes that entries of ``augment`` describe, each of which happens with its ``probability``.

    Args:
        described: for each change its ``name``, its ``probability`` and its settings.

    Raises:
        DataError: there is no such change, or it does not take these settings.
    """
    return [_change(**entry) for entry in described]


def source(name: str) -> Path:
    """The file of a change.

    Raises:
        DataError: there is none.
    """
    folder = Path(__file__).parent
    if not (folder / f"{name}.py").is_file():
        known = ", ".join(sorted(path.stem for path in folder.glob("[a-z]*.py")))
        raise DataError(f"augment {name}: there is no gait/training/torch/augmentations/{name}.py; there are: {known}")
    return folder / f"{name}.py"


def _change(name: str, probability: float, **settings: Any) -> Change:
    source(name)
    draw = importlib.import_module(f"gait.training.torch.augmentations.{name}").draw
    check_keywords(f"augment {name}", draw, settings)
    return Change(probability, partial(draw, **settings))
