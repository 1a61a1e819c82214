"""SUSTech1K: rank-r across views of walks with a bag, an umbrella, at night and so on (Shen et al., CVPR 2023).

A walk may have several attributes, and counts in the rates of each. The mean is "overall": each walk counts once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gait.data.partitions import complete, of_lists
from gait.protocols import Comparison

if TYPE_CHECKING:
    from gait.data.prepared.sequences import Sequence as GaitSequence
    from gait.data.prepared.sets import TestSet
    from gait.evaluation.hits import Hits
    from gait.evaluation.signatures import Signatures

TRAINING_IDENTITIES = 250
GALLERY, NORMAL = ("00", "nm"), ("01", "nm")  # numbers and first attributes of walks
NUMBERS = ("01", "02", "03", "04")  # of the walks that are looked for
ATTRIBUTES = {
    "bag": "bg",
    "clothing": "cl",
    "carrying": "cr",
    "umbrella": "ub",
    "uniform": "uf",
    "occlusion": "oc",
    "night": "nt",
}
COMPARISONS = {"sustech1k": Comparison("over all pairs of different views", cross_view=True, by_condition=False)}


@dataclass(frozen=True)
class Settings:
    """SUSTech1K's protocol: its list says who trains and who is tested; of these 00-nm enrols, walks 01 to 04 are probes."""


def comparison(settings: Settings) -> str:
    return "sustech1k"


def training_identities(settings: Settings) -> int:
    return TRAINING_IDENTITIES


def partition(
    sequences: Sequence[GaitSequence],
    identities: Sequence[str],
    split: Mapping[str, Sequence[str]],
    settings: Settings,
) -> dict[str, list[int]]:
    """The list's people train and are tested; walk 00-nm enrols, walks of the numbers 01 to 04 are looked for.

    Raises:
        DataError: the list is not there, or there is no training, gallery or probe sequence.
    """
    train, test = of_lists(sequences, "SUSTech1K.json", split)
    return complete(
        {"train": train, **validation(sequences, test, settings)},
        train="none of the TRAIN_SET of SUSTech1K.json has a usable walk",
        gallery="nobody of the TEST_SET of SUSTech1K.json has a usable walk 00-nm",
        probe="nobody of the TEST_SET of SUSTech1K.json has a usable walk 01, 02, 03 or 04",
    )


def validation(sequences: Sequence[GaitSequence], walks: Sequence[int], settings: Settings) -> dict[str, list[int]]:
    chosen: dict[str, list[int]] = {"gallery": [], "probe": []}
    for position in walks:
        number, *attributes = sequences[position].condition.split("-")
        if (number, *attributes[:1]) == GALLERY:
            chosen["gallery"].append(position)
        elif number in NUMBERS:
            chosen["probe"].append(position)
    return chosen


def identified(signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1) -> Hits:
    """Hits "rank1" and "rank5"; all probes are of one kind, and the attributes are conditions that overlap."""
    import numpy as np

    from gait.evaluation.comparisons import cross_view

    hits = cross_view(signatures, sequences, test.gallery, test.probe, test.distance, threads)
    walks = [sequences[position].condition.split("-") for position in test.probe]
    places = {"normal": [place for place, walk in enumerate(walks) if tuple(walk[:2]) == NORMAL]}
    for name, attribute in ATTRIBUTES.items():
        places[name] = [place for place, walk in enumerate(walks) if attribute in walk[1:]]
    overlapping = {name: np.array(own) for name, own in places.items() if own}
    return replace(hits, kinds=np.full(len(hits.kinds), "overall"), overlapping=overlapping)


def rates(
    hits: Hits, signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1
) -> dict[str, Any]:
    from gait.evaluation.comparisons import reported

    return reported(hits)
