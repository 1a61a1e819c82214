"""Who trains and who is tested: the datasets' published partitions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from gait.data.sequences import Sequence as GaitSequence
from gait.data.sequences import SequenceStore
from gait.errors import DataError

GALLERY = ("nm-01", "nm-02", "nm-03", "nm-04")


@dataclass(frozen=True)
class Partition:
    """Positions of sequences in a store, by what they are for.

    Attributes:
        model: whose partition it is.
        modality, digest: of the store.
        dataset, evidence: of the store.
        train: sequences of the training identities.
        gallery, probe: enrolled sequences and sequences to identify, of the other identities.
    """

    model: str
    modality: str
    digest: str
    dataset: str
    evidence: str
    train: list[int]
    gallery: list[int]
    probe: list[int]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a partition.

        Raises:
            DataError: the file is missing or is no partition.
        """
        try:
            partition = cls(**json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise DataError(f"{path}: no such file; run `dvc repro` to make it") from None
        except (ValueError, TypeError) as error:
            raise DataError(f"{path}: not a partition ({error})") from None
        for part in ("train", "gallery", "probe"):
            positions = getattr(partition, part)
            if not isinstance(positions, list) or not all(type(position) is int and position >= 0 for position in positions):
                raise DataError(f"{path}: not a partition ({part} must be a list of positions)")
        return partition

    def to_json(self) -> dict[str, object]:
        """The partition as JSON's types."""
        return asdict(self)


def casia_b(
    sequences: Sequence[GaitSequence], train_identities: int, identities: Sequence[str] | None = None
) -> dict[str, list[int]]:
    """CASIA-B's partition: the first identities train; of the others, nm-01 to nm-04 are the gallery.

    Args:
        sequences: all sequences of a store.
        train_identities: how many train (74 of CASIA-B's 124).
        identities: all people of the dataset; by default those with sequences. A training identity without usable sequences
            (005 in some copies) leaves 73 to train, and moves nobody from the test side.

    Raises:
        DataError: too few identities, or no training, gallery or probe sequence.
    """
    identities = sorted(identities or {sequence.identity for sequence in sequences})
    if len(identities) <= train_identities:
        raise DataError(
            f"train_subjects = {train_identities}: the dataset has {len(identities)} identities, so none is left to test"
        )
    training = set(identities[:train_identities])
    chosen: dict[str, list[int]] = {"train": [], "gallery": [], "probe": []}
    for position, sequence in enumerate(sequences):
        if sequence.identity in training:
            chosen["train"].append(position)
        else:
            chosen["gallery" if sequence.condition in GALLERY else "probe"].append(position)
    enrolled = ", ".join(GALLERY)
    for part, why in (
        ("train", f"the first {train_identities} identities have no usable walk"),
        ("gallery", f"the other identities have no usable walk among {enrolled}"),
        ("probe", f"the other identities have no usable walk besides {enrolled}"),
    ):
        if not chosen[part]:
            raise DataError(f"no {part} sequences: {why}")
    return chosen


def partition_for(model: str, store: SequenceStore, train_identities: int) -> Partition:
    """The partition of a store for one model."""
    chosen = casia_b(store.sequences, train_identities, store.identities)
    return Partition(model, store.modality, store.digest, store.dataset, store.evidence, **chosen)
