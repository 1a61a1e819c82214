"""TUM-GAID: by the nearest sequence, and by the votes of nearest samples, as optical-flow networks are published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gait.data.partitions import by_condition, complete
from gait.errors import DataError
from gait.protocols import Comparison

if TYPE_CHECKING:
    from gait.data.prepared.sequences import Sequence as GaitSequence
    from gait.data.prepared.sets import Distance, TestSet
    from gait.evaluation.hits import Hits
    from gait.evaluation.signatures import Signatures

PARTS = {
    "gallery": ("n01", "n02", "n03", "n04"),
    "probe": ("n05", "n06", "b01", "b02", "s01", "s02"),
    # The second recording, months later, of 32 people, half of them in the test set.
    "temporal_gallery": ("n07", "n08", "n09", "n10"),
    "temporal_probe": ("n11", "n12", "b03", "b04", "s03", "s04"),
}
TRAIN = PARTS["gallery"] + PARTS["probe"]
COMPARISONS = {"tum-gaid": Comparison("in the one view of that dataset")}


@dataclass(frozen=True)
class Settings:
    """TUM-GAID's protocol: people of its lists train, others are tested, 16 of these again in walks of months later."""


def comparison(settings: Settings) -> str:
    return "tum-gaid"


def training_identities(settings: Settings) -> int:
    return 150  # 100 for training and 50 for validation


def partition(
    sequences: Sequence[GaitSequence],
    identities: Sequence[str],
    split: Mapping[str, Sequence[str]],
    settings: Settings,
) -> dict[str, list[int]]:
    """100 + 50 people train, 155 are tested, 16 of these again in walks recorded months later.

    Args:
        sequences: their conditions are n01 ... s04.
        identities: all people.
        split: identities under "train", "validation" and "test", as the dataset's three lists have them.
        settings: none.

    Returns:
        "temporal_gallery" and "temporal_probe" too.

    Raises:
        DataError: a list is missing, or there is no training, gallery or probe sequence.
    """
    if not {"train", "validation", "test"} <= split.keys():
        raise DataError("TUM-GAID's lists tumgaidtrainids.lst, tumgaidvalids.lst and tumgaidtestids.lst are needed")
    training, test = {*split["train"], *split["validation"]}, set(split["test"])
    chosen: dict[str, list[int]] = {part: [] for part in ("train", *PARTS)}
    for position, sequence in enumerate(sequences):
        if sequence.identity in training and sequence.condition in TRAIN:
            chosen["train"].append(position)
        elif sequence.identity in test:
            for part, conditions in PARTS.items():
                if sequence.condition in conditions:
                    chosen[part].append(position)
    return complete(
        chosen,
        train="nobody of the lists for training and validation has a usable walk",
        gallery=f"nobody of the test list has a usable walk among {', '.join(PARTS['gallery'])}",
        probe=f"nobody of the test list has a usable walk among {', '.join(PARTS['probe'])}",
    )


def validation(sequences: Sequence[GaitSequence], walks: Sequence[int], settings: Settings) -> dict[str, list[int]]:
    return by_condition(sequences, walks, PARTS["gallery"], PARTS["probe"])


def identified(signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1) -> Hits:
    from gait.evaluation.comparisons import one_gallery

    return one_gallery(signatures, sequences, test.gallery, test.probe, test.distance, threads)


def rates(
    hits: Hits, signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1
) -> dict[str, Any]:
    """Also ``knn7`` and, if the walks recorded months later are there, ``temporal``, with all of those."""
    from gait.evaluation.comparisons import one_gallery, reported

    result = reported(hits)
    result["knn7"] = votes(signatures, sequences, test.gallery, test.probe, test.distance).rates("knn7")
    if test.temporal_gallery and test.temporal_probe:
        later = signatures, sequences, test.temporal_gallery, test.temporal_probe, test.distance
        result["temporal"] = {**reported(one_gallery(*later, threads)), "knn7": votes(*later).rates("knn7")}
    return result


def votes(
    signatures: Signatures,
    sequences: Sequence[GaitSequence],
    gallery: Sequence[int],
    probe: Sequence[int],
    distance: Distance = "cosine",
) -> Hits:
    """TUM-GAID's vote: of the 7 gallery samples nearest to every sample of a probe, then of all samples of the probe.

    Published for optical flow: the nearest by the Euclidean distance of samples of length 1 (Ruiz-Barroso et al., SUSCOM
    2022), which are those of the greatest cosine.

    Args:
        signatures: samples of each position in ``gallery`` and ``probe``.
        sequences: all sequences of the store.
        gallery: positions of the enrolled sequences.
        probe: positions of the sequences to identify.
        distance: between two samples.

    Returns:
        Hits "knn7", in one view, "all". How ties are broken: see :func:`gait.evaluation.neighbours.vote`.

    Raises:
        DataError: gallery or probe is empty, or a sequence has no signature or one that is not finite.
    """
    import numpy as np

    from gait.evaluation import neighbours
    from gait.evaluation.comparisons import check_signatures, facts_of, hits_of

    check_signatures(signatures, gallery, probe)
    rows, asked = (np.flatnonzero(np.isin(signatures.positions, which)) for which in (gallery, probe))
    places, distances = neighbours.nearest(signatures.values, asked, rows, kind=distance)
    if distance == "cosine":
        distances = np.sqrt(2 * np.maximum(distances, 0))  # which of one part is the Euclidean distance at length 1
    owners = facts_of(sequences, signatures.positions[rows].tolist(), "identity")
    named = neighbours.elected(owners[places], distances, signatures.positions[asked])
    hits = np.array([[float(named[position] == sequences[position].identity)] for position in probe])
    return hits_of(sequences, probe, np.full(len(probe), "all"), np.array(["all"]), {"knn7": hits})
