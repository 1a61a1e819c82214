"""Augmentation of silhouettes, one file a change; its name is the ``name`` of an entry of ``augment`` in params.yaml.

A change alters a sequence at random, all its frames alike. Its file offers ``draw(size, rng, **settings)``, whose keyword
arguments are what the entry may set:

- ``size``: height and width of the frames.
- ``rng``: the source of randomness.

It returns a :class:`Step`, always of one class. What is random is drawn first; to carry it out is another matter: the
processor does it for one sequence, a GPU for those of a batch together (:mod:`gait.training.torch.device_augmentation`).
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
    """What happens to a sequence."""

    def of(self, frames: np.ndarray) -> np.ndarray:
        """The sequence after it: uint8 [n, height, width], in and out; what comes in stays as it is."""
        ...

    @staticmethod
    def on_device(frames: Tensor, steps: Sequence[Any]) -> Tensor:
        """Sequences after steps of this class, one for each: floats [n, frames, height, width], in and out."""
        ...


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
