"""Gait3D: rank-r, mAP and mINP over the whole gallery of walks in the wild (Zheng et al., CVPR 2022)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gait.data.partitions import complete, first_and_others, of_lists
from gait.protocols import Comparison

if TYPE_CHECKING:
    from gait.data.prepared.sequences import Sequence as GaitSequence
    from gait.data.prepared.sets import TestSet
    from gait.evaluation.hits import Hits
    from gait.evaluation.signatures import Signatures

TRAINING_IDENTITIES = 3000
COMPARISONS = {
    "gait3d": Comparison("over all other walks of the test people, of any camera", by_condition=False),
    "gait3d-reranked": Comparison(
        "over all other walks of the test people, of any camera, re-ranked by k-reciprocal neighbours", by_condition=False
    ),
}


@dataclass(frozen=True)
class Settings:
    """Gait3D's protocol: its list says who trains, who is tested, and which walks are looked for among all others.

    ``rerank``: rank the gallery by k-reciprocal neighbours."""

    rerank: bool = False


def comparison(settings: Settings) -> str:
    return "gait3d-reranked" if settings.rerank else "gait3d"


def training_identities(settings: Settings) -> int:
    return TRAINING_IDENTITIES


def partition(
    sequences: Sequence[GaitSequence],
    identities: Sequence[str],
    split: Mapping[str, Sequence[str]],
    settings: Settings,
) -> dict[str, list[int]]:
    """The list's people train and are tested; its sequences are probes, and all others of the test people are enrolled.

    Raises:
        DataError: the list is not there, or there is no training, gallery or probe sequence.
    """
    train, test = of_lists(sequences, "Gait3D.json", split, "Gait3D's and OpenGait's repositories hold it")
    probe = frozenset(split["probe"])
    return complete(
        {
            "train": train,
            "gallery": [position for position in test if sequences[position].name not in probe],
            "probe": [position for position in test if sequences[position].name in probe],
        },
        train="none of the TRAIN_SET of Gait3D.json has a usable walk",
        gallery="nobody of the TEST_SET of Gait3D.json has a usable walk besides those of its PROBE_SET",
        probe="none of the PROBE_SET of Gait3D.json is a usable walk of the TEST_SET",
    )


def validation(sequences: Sequence[GaitSequence], walks: Sequence[int], settings: Settings) -> dict[str, list[int]]:
    """The first walk of each person is looked for among all other ones, as one of each test person is."""
    probe, gallery = first_and_others(sequences, walks)
    return {"gallery": gallery, "probe": probe}


def identified(signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1) -> Hits:
    """Hits of all measures of retrieval; no camera is left out."""
    import numpy as np

    from gait.evaluation.comparisons import one_gallery

    compared = signatures, sequences, test.gallery, test.probe, test.distance, threads
    hits = one_gallery(*compared, rerank=test.protocol == "gait3d-reranked")
    return replace(hits, kinds=np.full(len(hits.kinds), "all"))  # means are over all probes, not over cameras


def rates(
    hits: Hits, signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1
) -> dict[str, Any]:
    from gait.evaluation.comparisons import reported, without_conditions

    return without_conditions(reported(hits))
