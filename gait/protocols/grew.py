"""GREW: rank-r of one walk of each test person among the other ones (Zhu et al., ICCV 2021).

GREW does not publish whose its own probes are: `python -m gaitpress submission` writes what its server asks for. What can be
measured here is the test that OpenGait has beside it: the first walk of each test person enrols, the second is looked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gait.data.partitions import complete, first_and_others
from gait.protocols import Comparison

if TYPE_CHECKING:
    from gait.data.prepared.sequences import Sequence as GaitSequence
    from gait.data.prepared.sets import TestSet
    from gait.evaluation.hits import Hits
    from gait.evaluation.signatures import Signatures

TRAINING_IDENTITIES = 20_000
COMPARISONS = {
    "grew": Comparison("over the first walk of each test person, for which GREW's own probes are not", by_condition=False)
}


@dataclass(frozen=True)
class Settings:
    """GREW's people of training train; of each of the test, the first walk enrols and the second is looked for."""


def comparison(settings: Settings) -> str:
    return "grew"


def training_identities(settings: Settings) -> int:
    return TRAINING_IDENTITIES


def partition(
    sequences: Sequence[GaitSequence],
    identities: Sequence[str],
    split: Mapping[str, Sequence[str]],
    settings: Settings,
) -> dict[str, list[int]]:
    """Identities that end in "train" train; of the others 01 enrols and 02 is looked for. Walks 03 are in no part.

    Raises:
        DataError: there is no training, gallery or probe sequence.
    """
    parts = {"00": "train", "01": "gallery", "02": "probe"}
    chosen: dict[str, list[int]] = {part: [] for part in parts.values()}
    for position, sequence in enumerate(sequences):
        trains = sequence.identity.endswith("train")
        part = parts.get(sequence.condition)
        if part and trains == (part == "train"):
            chosen[part].append(position)
    return complete(
        chosen,
        train="there is no usable walk 00 of a person such as 00001train",
        gallery="there is no usable walk 01 of a test person",
        probe="there is no usable walk 02 of a test person",
    )


def validation(sequences: Sequence[GaitSequence], walks: Sequence[int], settings: Settings) -> dict[str, list[int]]:
    """The first walk of each person enrols, and the second is looked for."""
    gallery, others = first_and_others(sequences, walks)
    probe, _ = first_and_others(sequences, others)
    return {"gallery": gallery, "probe": probe}


def identified(signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1) -> Hits:
    from gait.evaluation.comparisons import one_gallery

    return one_gallery(signatures, sequences, test.gallery, test.probe, test.distance, threads)


def rates(
    hits: Hits, signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1
) -> dict[str, Any]:
    from gait.evaluation.comparisons import reported, without_conditions

    return without_conditions(reported(hits))
