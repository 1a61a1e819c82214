"""CASIA-B: rank-r across views, identical views excluded.

Yu et al., ICPR 2006; the cells of the tables are those of Chao et al., AAAI 2019, section 4.2. Or among the walks of all
other views together, one of each condition enrolled (the cross-view gallery of Hou et al., T-BIOM 2023).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gait.data.partitions import by_condition, first_train
from gait.protocols import Comparison

if TYPE_CHECKING:
    from gait.data.prepared.sequences import Sequence as GaitSequence
    from gait.data.prepared.sets import TestSet
    from gait.evaluation.hits import Hits
    from gait.evaluation.signatures import Signatures

GALLERY = ("nm-01", "nm-02", "nm-03", "nm-04")
ALL_VIEWS_GALLERY, ALL_VIEWS_PROBE = ("nm-02", "bg-02", "cl-02"), ("nm-01", "bg-01", "cl-01")
COMPARISONS = {
    "casia-b": Comparison("over all pairs of different views", cross_view=True),
    "casia-b-cross-view-gallery": Comparison("over the enrolled walks of all other views together", cross_view=True),
}


@dataclass(frozen=True)
class Settings:
    """CASIA-B's protocol: the first identities train; of the others nm-01 to nm-04 enrol, identical views are excluded.

    ``without``: training identities to leave out, such as 005 of CASIA-B, whose archive is damaged in some copies.
    ``cross_view_gallery``: nm-02, bg-02 and cl-02 enrol, nm-01, bg-01 and cl-01 are looked for among the walks of all other
    views together."""

    train_subjects: int
    without: list[str] = field(default_factory=list)
    cross_view_gallery: bool = False


def comparison(settings: Settings) -> str:
    return "casia-b-cross-view-gallery" if settings.cross_view_gallery else "casia-b"


def training_identities(settings: Settings) -> int:
    return settings.train_subjects - len(settings.without)


def partition(
    sequences: Sequence[GaitSequence],
    identities: Sequence[str],
    split: Mapping[str, Sequence[str]],
    settings: Settings,
) -> dict[str, list[int]]:
    """The first identities train (74 of CASIA-B's 124); of the others, nm-01 to nm-04 are the gallery, the rest probes."""
    gallery, probe = _conditions(settings)
    return first_train(sequences, identities, settings.train_subjects, gallery, settings.without, probe)


def _conditions(settings: Settings) -> tuple[Sequence[str], Sequence[str] | None]:
    """The enrolled conditions, and those looked for; None for all others."""
    return (ALL_VIEWS_GALLERY, ALL_VIEWS_PROBE) if settings.cross_view_gallery else (GALLERY, None)


def validation(sequences: Sequence[GaitSequence], walks: Sequence[int], settings: Settings) -> dict[str, list[int]]:
    return by_condition(sequences, walks, *_conditions(settings))


def identified(signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1) -> Hits:
    from gait.evaluation.comparisons import cross_view, one_gallery

    compared = signatures, sequences, test.gallery, test.probe, test.distance, threads
    return cross_view(*compared) if test.protocol == "casia-b" else one_gallery(*compared, other_views=True)


def rates(
    hits: Hits, signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1
) -> dict[str, Any]:
    from gait.evaluation.comparisons import reported

    return reported(hits)
