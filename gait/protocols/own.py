"""Data of one's own: the first identities train, and conditions that params.yaml names enrol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gait.data.partitions import by_condition, check_conditions, first_train
from gait.errors import DataError
from gait.protocols import Comparison

if TYPE_CHECKING:
    from gait.data.prepared.sequences import Sequence as GaitSequence
    from gait.data.prepared.sets import TestSet
    from gait.evaluation.hits import Hits
    from gait.evaluation.signatures import Signatures

COMPARISONS = {
    "cross-view": Comparison(
        "over all pairs of different views",
        cross_view=True,
        one_view="set datasets.<name>.partition.cross_view to false, or bring walks in other views",
    ),
    "all-views": Comparison("over the enrolled walks of all views"),
    "all-views-reranked": Comparison("over the enrolled walks of all views, re-ranked by k-reciprocal neighbours"),
}


@dataclass(frozen=True)
class Settings:
    """The first identities train; of the others the conditions under ``gallery`` enrol, all other walks are probes.

    ``rerank``: rank the gallery by k-reciprocal neighbours; for ``cross_view: false``."""

    train_subjects: int
    gallery: list[str]
    cross_view: bool
    rerank: bool = False


def comparison(settings: Settings) -> str:
    if settings.cross_view and settings.rerank:
        raise DataError("partition.rerank is for cross_view: false, where the gallery is one list")
    return "cross-view" if settings.cross_view else "all-views-reranked" if settings.rerank else "all-views"


def training_identities(settings: Settings) -> int:
    return settings.train_subjects


def partition(
    sequences: Sequence[GaitSequence],
    identities: Sequence[str],
    split: Mapping[str, Sequence[str]],
    settings: Settings,
) -> dict[str, list[int]]:
    check_conditions("gallery", settings.gallery, sequences)
    return first_train(sequences, identities, settings.train_subjects, settings.gallery)


def validation(sequences: Sequence[GaitSequence], walks: Sequence[int], settings: Settings) -> dict[str, list[int]]:
    return by_condition(sequences, walks, settings.gallery)


def identified(signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1) -> Hits:
    from gait.evaluation.comparisons import cross_view, one_gallery

    compared = signatures, sequences, test.gallery, test.probe, test.distance, threads
    if test.protocol == "cross-view":
        return cross_view(*compared)
    return one_gallery(*compared, rerank=test.protocol == "all-views-reranked")


def rates(
    hits: Hits, signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1
) -> dict[str, Any]:
    from gait.evaluation.comparisons import reported

    return reported(hits)
