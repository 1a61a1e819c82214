"""OU-MVLP: rank-r across its 14 views, with and without the probes that nobody enrolled (Takemura et al., IPSJ 2018).

Or among the walks of all other views together (Hou et al., T-BIOM 2023).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gait.data.partitions import by_condition, complete
from gait.errors import DataError
from gait.protocols import Comparison

if TYPE_CHECKING:
    from gait.data.prepared.sequences import Sequence as GaitSequence
    from gait.data.prepared.sets import TestSet
    from gait.evaluation.hits import Hits
    from gait.evaluation.signatures import Signatures

LAST_THAT_TRAINS = 10305
COMPARISONS = {
    "oumvlp": Comparison(
        "over all pairs of different views, without walks whose person is not enrolled in that view",
        cross_view=True,
        unenrolled="left out of the rates, and misses in those of all probes",
        by_condition=False,  # all its probes are of one
    ),
    "oumvlp-cross-view-gallery": Comparison(
        "over the enrolled walks of all other views together", cross_view=True, by_condition=False
    ),
}


@dataclass(frozen=True)
class Settings:
    """OU-MVLP's protocol: identities of odd numbers train; of the others walk 01 enrols, walk 00 is looked for.

    ``cross_view_gallery``: look among the walks of all other views together, not in one view after the other."""

    cross_view_gallery: bool = False


def comparison(settings: Settings) -> str:
    return "oumvlp-cross-view-gallery" if settings.cross_view_gallery else "oumvlp"


def training_identities(settings: Settings) -> int:
    return len(range(1, LAST_THAT_TRAINS + 1, 2))


def partition(
    sequences: Sequence[GaitSequence],
    identities: Sequence[str],
    split: Mapping[str, Sequence[str]],
    settings: Settings,
) -> dict[str, list[int]]:
    """Identities 00001, 00003 ... 10305 train, the other 5154 are tested; walk 01 enrols, 00 probes.

    Raises:
        DataError: an identity is not a number, or there is no training, gallery or probe sequence.
    """
    chosen: dict[str, list[int]] = {"train": [], "gallery": [], "probe": []}
    for position, sequence in enumerate(sequences):
        if not sequence.identity.isdecimal():
            raise DataError(f"{sequence.name}: OU-MVLP's identities are numbers, such as 00001")
        number = int(sequence.identity)
        if number % 2 and number <= LAST_THAT_TRAINS:
            chosen["train"].append(position)
        elif sequence.condition in ("00", "01"):
            chosen["gallery" if sequence.condition == "01" else "probe"].append(position)
    return complete(
        chosen,
        train="none of 00001, 00003 ... 10305 has a usable walk",
        gallery="the other identities have no usable walk 01",
        probe="the other identities have no usable walk 00",
    )


def validation(sequences: Sequence[GaitSequence], walks: Sequence[int], settings: Settings) -> dict[str, list[int]]:
    return by_condition(sequences, walks, ["01"], ["00"])


def identified(signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1) -> Hits:
    """Look for every probe in the gallery of every view but its own, or of all views but its own.

    Returns:
        For the cross-view gallery, those of :func:`gait.evaluation.comparisons.one_gallery`; else
        hits "rank1" and "rank5", where a probe is not counted in views in whose gallery its identity is not, and
        "rank1_all_probes" and "rank5_all_probes", where it is a miss.

    Raises:
        DataError: as of cross_view, or no probe's identity is enrolled in another view.
    """
    import numpy as np

    from gait.evaluation.comparisons import cross_view, one_gallery

    compared = signatures, sequences, test.gallery, test.probe, test.distance, threads
    if test.protocol != "oumvlp":
        return one_gallery(*compared, other_views=True)
    everyone = cross_view(*compared)
    enrolled = {(sequences[position].identity, sequences[position].view) for position in test.gallery}
    whose = zip(everyone.identities, everyone.probe_views, strict=True)
    there = np.array([[(identity, view) in enrolled for view in everyone.gallery_views] for identity, _ in whose])
    hits = {measure: np.where(there, rates, np.nan) for measure, rates in everyone.hits.items()}
    if np.isnan(hits["rank1"]).all():
        raise DataError("nothing to evaluate: no probe's identity has a gallery sequence in another view")
    hits |= {f"{measure}_all_probes": rates for measure, rates in everyone.hits.items()}
    return replace(everyone, hits=hits)


def rates(
    hits: Hits, signatures: Signatures, sequences: Sequence[GaitSequence], test: TestSet, threads: int = 1
) -> dict[str, Any]:
    """``rank1`` and ``rank5`` count probes whose identity is enrolled in the gallery view.

    ``all_probes`` has both with the others as misses, and ``probes_without_gallery`` is how many lack a gallery sequence in
    any other view.
    """
    import numpy as np

    from gait.evaluation.comparisons import reported, without_conditions

    enrolled = reported(hits)
    if test.protocol != "oumvlp":
        return without_conditions(enrolled)
    everyone = {measure: hits.rates(f"{measure}_all_probes") for measure in enrolled}
    lacking = np.isnan(hits.hits["rank1"]) & ~np.isnan(hits.hits["rank1_all_probes"])
    return {
        **without_conditions(enrolled),
        "all_probes": without_conditions(everyone),
        "probes_without_gallery": int(lacking.any(1).sum()),
    }
