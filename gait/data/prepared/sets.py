"""A model's training set and its test set.

They are two files, so that a change of the test, its protocol or its distance does not train again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, get_args

from gait.errors import DataError

Distance = Literal["euclidean", "cosine"]


@dataclass(frozen=True)
class _Positions:
    """Positions of sequences in a store.

    Attributes:
        model: the model that uses these data.
        modality, digest, dataset, evidence: facts of the store.
    """

    model: str
    modality: str
    digest: str
    dataset: str
    evidence: str

    WHAT: ClassVar[str]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a set.

        Raises:
            DataError: the file is missing or holds another kind of content.
        """
        try:
            loaded = cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise DataError(f"{path}: no such file; run `dvc repro` to make it") from None
        except (ValueError, TypeError) as error:
            raise DataError(f"{path}: not a {cls.WHAT} ({error})") from None
        for part, positions in loaded.parts().items():
            if not isinstance(positions, list) or not all(type(position) is int and position >= 0 for position in positions):
                raise DataError(f"{path}: not a {cls.WHAT} ({part} must be a list of positions)")
        return loaded

    def parts(self) -> dict[str, list[int]]:
        """The lists of positions by name, such as "gallery"."""
        return {part.name: getattr(self, part.name) for part in fields(self) if part.type == "list[int]"}

    def to_json(self) -> dict[str, Any]:
        """The set in JSON's types."""
        return asdict(self)


@dataclass(frozen=True)
class TrainingSet(_Positions):
    """The sequences on which a model trains, and those on which the training is tested while it runs, if it is.

    Attributes:
        train: positions of sequences of the training identities.
        validation_gallery, validation_probe: of identities set aside, which do not train.
        protocol, distance: of that test, as those of a test set; else empty.
    """

    train: list[int]
    validation_gallery: list[int] = field(default_factory=list)
    validation_probe: list[int] = field(default_factory=list)
    protocol: str = ""
    distance: Distance | Literal[""] = ""

    WHAT = "training set"

    def validation(self) -> TestSet | None:
        """The test on the identities set aside; None if there are none."""
        if not self.distance:
            return None
        common = (self.model, self.modality, self.digest, self.dataset, self.evidence)
        return TestSet(*common, self.protocol, self.distance, self.validation_gallery, self.validation_probe)

    def to_json(self) -> dict[str, Any]:
        """The set in JSON's types, without what is empty where nobody is set aside."""
        return {name: value for name, value in super().to_json().items() if value or name == "train"}


@dataclass(frozen=True)
class TestSet(_Positions):
    """The sequences on which a model is tested, with the protocol and the distance.

    Attributes:
        protocol: the measure of recognition: one of :func:`gait.protocols.comparisons`, such as "casia-b" or "all-views".
        distance: between two signatures: "euclidean", the mean over parts of the Euclidean distance of signatures as they
            are, or "cosine", 1 minus the mean of the cosines.
        gallery, probe: positions of enrolled sequences and of sequences to identify, all of identities not in training.
        temporal_gallery, temporal_probe: the same for TUM-GAID's second test, on walks recorded months later; else empty.
    """

    __test__ = False  # by its name, pytest would take it for a class of tests

    protocol: str
    distance: Distance
    gallery: list[int]
    probe: list[int]
    temporal_gallery: list[int] = field(default_factory=list)
    temporal_probe: list[int] = field(default_factory=list)

    WHAT = "test set"

    @property
    def positions(self) -> list[int]:
        """The positions of all sequences in the test, each once, in the store's order."""
        return sorted({*self.gallery, *self.probe, *self.temporal_gallery, *self.temporal_probe})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a test set, as :meth:`TrainingSet.load` does; check the distance too."""
        loaded = super().load(path)
        if loaded.distance not in get_args(Distance):
            raise DataError(f"{path}: not a {cls.WHAT} (distance must be one of {', '.join(get_args(Distance))})")
        return loaded
