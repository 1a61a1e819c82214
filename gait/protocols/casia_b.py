"""CASIA-B: rank-r across views, identical views excluded.

Yu et al., ICPR 2006; the cells of the tables are those of Chao et al., AAAI 2019, section 4.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gait.data.partitions import first_train
from gait.protocols import Comparison

if TYPE_CHECKING:
    from gait.data.prepared.sequences import Sequence as GaitSequence
    from gait.data.prepared.sets import TestSet
    from gait.evaluation.hits import Hits
    from gait.evaluation.signatures import Signatures

GALLERY = ("nm-01", "nm-02", "nm-03", "nm-04")
COMPARISONS = {"casia-b": Comparison("over all pairs of different views", cross_view=True)}


@dataclass(frozen=True)
class Settings:
    """CASIA-B's protocol: the first identities train; of the others nm-01 to nm-04 enrol, identical views are excluded.

    ``without``: training identities to leave out, such as 005 of CASIA-B, whose archive is damaged in some copies."""

    train_subjects: int
    without: list[str] = field(default_factory=list)


def comparison(settings: Settings) -> str:
    return "casia-b"


def training_identities(settings: Settings) -> int:
    return settings.train_subjects - len(settings.without)


def partition(
    sequences: Sequence[GaitSequence],
    identities: Sequence[str],
    split: Mapping[str, Sequence[str]],
    settings: Settings,
) -> dict[str, list[int]]:
    """The first identities train (74 of CASIA-B's 124); of the others, nm-01 to nm-04 are the gallery, the rest probes."""
    return first_train(sequences, identities, settings.train_subjects, GALLERY, settings.without)


def identified(signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1) -> Hits:
    from gait.evaluation.comparisons import cross_view

    return cross_view(signatures, sequences, test.gallery, test.probe, test.distance, threads)


def rates(
    hits: Hits, signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1
) -> dict[str, Any]:
    from gait.evaluation.comparisons import ranks

    return ranks(hits)
