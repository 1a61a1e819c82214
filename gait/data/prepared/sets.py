"""The two sides of a model's data: the sequences that it trains on, and those that it is tested on.

They are two files, so that a change of the test, its protocol or its distance trains nothing again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, get_args

from gait.errors import DataError

Distance = Literal["euclidean", "cosine"]


@dataclass(frozen=True)
class _Side:
    """Positions of sequences in a store.

    Attributes:
        model: whose data these are.
        modality, digest: of the store.
        dataset, evidence: of the store.
    """

    model: str
    modality: str
    digest: str
    dataset: str
    evidence: str

    WHAT: ClassVar[str]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read one side.

        Raises:
            DataError: the file is missing or does not hold this side.
        """
        try:
            side = cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise DataError(f"{path}: no such file; run `dvc repro` to make it") from None
        except (ValueError, TypeError) as error:
            raise DataError(f"{path}: not a {cls.WHAT} ({error})") from None
        for part, positions in side.parts().items():
            if not isinstance(positions, list) or not all(type(position) is int and position >= 0 for position in positions):
                raise DataError(f"{path}: not a {cls.WHAT} ({part} must be a list of positions)")
        return side

    def parts(self) -> dict[str, list[int]]:
        """The lists of positions, by what they are for."""
        return {part.name: getattr(self, part.name) for part in fields(self) if part.type == "list[int]"}

    def to_json(self) -> dict[str, Any]:
        """The side in JSON's types."""
        return asdict(self)


@dataclass(frozen=True)
class TrainingSet(_Side):
    """What a model trains on.

    Attributes:
        train: sequences of the training identities.
    """

    train: list[int]

    WHAT = "training set"


@dataclass(frozen=True)
class TestSet(_Side):
    """What a model is tested on, and how.

    Attributes:
        protocol: how recognition is measured: one of :func:`gait.protocols.comparisons`, such as "casia-b" or "all-views".
        distance: between two signatures: "euclidean", the mean over parts of the Euclidean distance of signatures as they
            are, or "cosine", 1 minus the mean of the cosines.
        gallery, probe: enrolled sequences and sequences to identify, of identities that do not train.
        temporal_gallery, temporal_probe: TUM-GAID's second test, on walks recorded months later; else empty.
    """

    __test__ = False  # pytest takes it for a class of tests by its name

    protocol: str
    distance: Distance
    gallery: list[int]
    probe: list[int]
    temporal_gallery: list[int] = field(default_factory=list)
    temporal_probe: list[int] = field(default_factory=list)

    WHAT = "test set"

    @property
    def positions(self) -> list[int]:
        """Every sequence that the test needs, once, in the store's order."""
        return sorted({*self.gallery, *self.probe, *self.temporal_gallery, *self.temporal_probe})

    @classmethod
    def load(cls, path: Path) -> Self:
        """As of any side; the distance is checked too."""
        side = super().load(path)
        if side.distance not in get_args(Distance):
            raise DataError(f"{path}: not a {cls.WHAT} (distance must be one of {', '.join(get_args(Distance))})")
        return side
