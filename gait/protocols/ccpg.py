"""CCPG: four tests of people who change their clothes (Li et al., CVPR 2023).

Each test looks for walks in some clothes among walks in others: CL, all clothes changed; UP and DN, those of the upper and
of the lower body; BG, none but a bag. Rank-1 and rank-5 are over all pairs of different cameras, as gait is measured. mAP,
mINP and ranks of their own are among the walks of all other cameras together, as re-identification of people is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from gait.data.partitions import complete, of_lists
from gait.errors import DataError
from gait.protocols import Comparison

if TYPE_CHECKING:
    from gait.data.prepared.sequences import Sequence as GaitSequence
    from gait.data.prepared.sets import TestSet
    from gait.evaluation.hits import Hits
    from gait.evaluation.signatures import Signatures

TRAINING_IDENTITIES = 100
# The clothes of those who are looked for, and of those who are enrolled.
TESTS = {
    "CL": (("U0_D0_BG", "U0_D0"), ("U1_D1", "U2_D2", "U3_D3")),
    "UP": (("U3_D3",), ("U0_D3",)),
    "DN": (("U1_D0",), ("U1_D1",)),
    "BG": (("U0_D0_BG",), ("U0_D0",)),
}
LOOKED_FOR, ENROLLED = (frozenset(name for test in TESTS.values() for name in test[side]) for side in (0, 1))
COMPARISONS = {
    "ccpg": Comparison(
        "over all pairs of different cameras, in other clothes than those enrolled", cross_view=True, by_condition=False
    )
}


@dataclass(frozen=True)
class Settings:
    """CCPG's protocol: its list says who trains and who is tested; four tests look for people in other clothes."""


def comparison(settings: Settings) -> str:
    return "ccpg"


def training_identities(settings: Settings) -> int:
    return TRAINING_IDENTITIES


def partition(
    sequences: Sequence[GaitSequence],
    identities: Sequence[str],
    split: Mapping[str, Sequence[str]],
    settings: Settings,
) -> dict[str, list[int]]:
    """The list's people train and are tested; of these, walks may be enrolled in one test and looked for in another.

    Raises:
        DataError: the list is not there, a view is no camera, or one of the four tests has no gallery or probe sequence.
    """
    train, test = of_lists(sequences, "CCPG.json", split)
    for sequence in sequences:
        if "_" in sequence.view:
            raise DataError(f"{sequence.name}: its view is not the camera alone; read CCPG by `layout: ccpg`")
    worn = {clothes(sequences[position]) for position in test}
    for name, sides in TESTS.items():
        for side, needed in zip(("probe", "gallery"), sides, strict=True):
            if worn.isdisjoint(needed):
                raise DataError(f"no {side} sequences of {name}: nobody of the test has a usable walk {' or '.join(needed)}")
    chosen = {"train": train, **_by_clothes(sequences, test)}
    return complete(chosen, train="none of the TRAIN_SET of CCPG.json has a usable walk")


def _by_clothes(sequences: Sequence[GaitSequence], walks: Sequence[int]) -> dict[str, list[int]]:
    """Walks as "gallery" and "probe"; some are both, in different tests."""
    return {
        side: [position for position in walks if clothes(sequences[position]) in worn]
        for side, worn in (("gallery", ENROLLED), ("probe", LOOKED_FOR))
    }


def clothes(sequence: GaitSequence) -> str:
    """What somebody wears, such as "U0_D0" of the condition "U0_D0-1"."""
    return sequence.condition.partition("-")[0]


def validation(sequences: Sequence[GaitSequence], walks: Sequence[int], settings: Settings) -> dict[str, list[int]]:
    """Walks of people who can be looked for in each of the four tests, among their walks before other cameras."""
    wardrobes: dict[str, dict[str, set[str]]] = {}
    for position in walks:
        walk = sequences[position]
        wardrobes.setdefault(walk.identity, {}).setdefault(clothes(walk), set()).add(walk.view)
    able = {identity for identity, cameras in wardrobes.items() if _in_all_tests(cameras)}
    return _by_clothes(sequences, [position for position in walks if sequences[position].identity in able])


def _in_all_tests(cameras: Mapping[str, set[str]]) -> bool:
    """Whether a person of whom there are walks before these cameras, by clothes, can be found in each of the four tests."""
    for sides in TESTS.values():
        looked_for, enrolled = ({camera for name in worn for camera in cameras.get(name, ())} for worn in sides)
        if not looked_for or not enrolled or len(looked_for | enrolled) == 1:
            return False
    return True


def identified(signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1) -> Hits:
    """Hits "rank1" and "rank5" of the four tests, which stand in the place of walking conditions."""
    from gait.evaluation.comparisons import cross_view

    return _of_tests(cross_view, signatures, sequences, test, threads)


def rates(
    hits: Hits, signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1
) -> dict[str, Any]:
    """Also ``mAP`` and ``mINP`` among the walks of all other cameras together, and the ranks there as ``other_cameras``."""
    import numpy as np

    from gait.evaluation.comparisons import one_gallery, reported

    pooled_hits = _of_tests(partial(one_gallery, other_views=True), signatures, sequences, test, threads)
    # Means over probes, not over cameras.
    pooled = reported(replace(pooled_hits, probe_views=np.full(len(pooled_hits.kinds), "all")))
    precisions = {measure: pooled.pop(measure) for measure in ("mAP", "mINP")}
    return {**reported(hits), **precisions, "other_cameras": pooled}


def _of_tests(
    compare: Callable[..., Hits], signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int
) -> Hits:
    from gait.evaluation.comparisons import together

    of_tests = {}
    for name, (looked_for, enrolled) in TESTS.items():
        gallery = [position for position in test.gallery if clothes(sequences[position]) in enrolled]
        probe = [position for position in test.probe if clothes(sequences[position]) in looked_for]
        of_tests[name] = compare(signatures, sequences, gallery, probe, test.distance, threads)
    return together(of_tests)
