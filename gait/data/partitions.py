"""Who trains and who is tested: the datasets' published partitions, and one for data of your own."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from gait.data.prepared.sequences import Sequence as GaitSequence
from gait.data.prepared.sequences import SequenceStore
from gait.data.prepared.sets import Distance, TestSet, TrainingSet
from gait.errors import DataError

CASIA_B_GALLERY = ("nm-01", "nm-02", "nm-03", "nm-04")
TUM_TEST = {
    "gallery": ("n01", "n02", "n03", "n04"),
    "probe": ("n05", "n06", "b01", "b02", "s01", "s02"),
    # The second recording, months later, of 32 people, half of them in the test set.
    "temporal_gallery": ("n07", "n08", "n09", "n10"),
    "temporal_probe": ("n11", "n12", "b03", "b04", "s03", "s04"),
}
TUM_TRAIN = TUM_TEST["gallery"] + TUM_TEST["probe"]
CROSS_VIEW = ("casia-b", "cross-view", "oumvlp")  # protocols that compare walks of different views alone
MOST_LISTED = 10
POSITIONS = ("train", "gallery", "probe", "temporal_gallery", "temporal_probe")


def casia_b(
    sequences: Sequence[GaitSequence],
    identities: Sequence[str],
    train_subjects: int,
    gallery: Sequence[str] = CASIA_B_GALLERY,
    without: Sequence[str] = (),
) -> dict[str, list[int]]:
    """CASIA-B's partition: the first identities train; of the others, nm-01 to nm-04 are the gallery, the rest probes.

    Args:
        sequences: all sequences of a store.
        identities: all people of the dataset. A training identity without usable sequences (005 in some copies) leaves 73
            to train, and moves nobody from the test side.
        train_subjects: how many train (74 of CASIA-B's 124).
        gallery: the enrolled conditions.
        without: training identities to leave out.

    Raises:
        DataError: too few identities, or no training, gallery or probe sequence.
    """
    check_people(identities, train_subjects)
    training = sorted(identities)[:train_subjects]
    if strangers := sorted(set(without) - set(training)):
        raise DataError(f"without = {strangers}: not among the first {train_subjects} identities, which train")
    chosen: dict[str, list[int]] = {"train": [], "gallery": [], "probe": []}
    for position, sequence in enumerate(sequences):
        if sequence.identity in training:
            if sequence.identity not in without:
                chosen["train"].append(position)
        else:
            chosen["gallery" if sequence.condition in gallery else "probe"].append(position)
    enrolled = ", ".join(gallery)
    return _complete(
        chosen,
        train=f"the first {train_subjects} identities have no usable walk",
        gallery=f"the other identities have no usable walk among {enrolled}",
        probe=f"the other identities have no usable walk besides {enrolled}",
    )


def check_people(identities: Sequence[str], train_subjects: int) -> None:
    """Fail where nobody would be left to test.

    Raises:
        DataError: there are no more identities than are to train.
    """
    if len(identities) <= train_subjects:
        raise DataError(
            f"train_subjects = {train_subjects}: the dataset has {len(identities)} identities, so none is left to test"
        )


def _check_gallery(gallery: Sequence[str], conditions: set[str]) -> None:
    if unknown := [name for name in gallery if name not in conditions]:
        raise DataError(f"gallery = {unknown}: no walk has such a condition; {_near(unknown[0], conditions)}")


def _near(name: str, known: Iterable[str]) -> str:
    """The known names that are meant by a mistyped one, most likely."""
    names = sorted(known)
    # Whether a name has capitals, or "-" or "_" before its number, is what people remember least.
    plain = {re.sub("[-_. ]", "", each).lower(): each for each in names}
    close = difflib.get_close_matches(re.sub("[-_. ]", "", name).lower(), plain, 3)
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return (f"did you mean {' or '.join(plain[each] for each in close)}? " if close else "") + f"(there: {shown})"


def _complete(chosen: dict[str, list[int]], **reasons: str) -> dict[str, list[int]]:
    """The same parts, if none of those that have a reason is empty."""
    for part, reason in reasons.items():
        if not chosen[part]:
            raise DataError(f"no {part} sequences: {reason}")
    return chosen


def oumvlp(sequences: Sequence[GaitSequence]) -> dict[str, list[int]]:
    """OU-MVLP's partition: identities 00001, 00003 ... 10305 train, the other 5154 are tested; walk 01 enrols, 00 probes.

    Raises:
        DataError: an identity is not a number, or there is no training, gallery or probe sequence.
    """
    chosen: dict[str, list[int]] = {"train": [], "gallery": [], "probe": []}
    for position, sequence in enumerate(sequences):
        if not sequence.identity.isdecimal():
            raise DataError(f"{sequence.name}: OU-MVLP's identities are numbers, such as 00001")
        number = int(sequence.identity)
        if number % 2 and number <= 10305:
            chosen["train"].append(position)
        elif sequence.condition in ("00", "01"):
            chosen["gallery" if sequence.condition == "01" else "probe"].append(position)
    return _complete(
        chosen,
        train="none of 00001, 00003 ... 10305 has a usable walk",
        gallery="the other identities have no usable walk 01",
        probe="the other identities have no usable walk 00",
    )


def tum_gaid(sequences: Sequence[GaitSequence], split: Mapping[str, Sequence[str]]) -> dict[str, list[int]]:
    """TUM-GAID's partition: 100 + 50 people train, 155 are tested, 16 of these again in walks recorded months later.

    Args:
        sequences: all sequences of a store, their conditions n01 ... s04.
        split: identities under "train", "validation" and "test", as the dataset's three lists have them.

    Raises:
        DataError: a list is missing, or there is no training, gallery or probe sequence.
    """
    if not {"train", "validation", "test"} <= split.keys():
        raise DataError("TUM-GAID's lists tumgaidtrainids.lst, tumgaidvalids.lst and tumgaidtestids.lst are needed")
    training, test = {*split["train"], *split["validation"]}, set(split["test"])
    chosen: dict[str, list[int]] = {part: [] for part in POSITIONS}
    for position, sequence in enumerate(sequences):
        if sequence.identity in training and sequence.condition in TUM_TRAIN:
            chosen["train"].append(position)
        elif sequence.identity in test:
            for part, conditions in TUM_TEST.items():
                if sequence.condition in conditions:
                    chosen[part].append(position)
    return _complete(
        chosen,
        train="nobody of the lists for training and validation has a usable walk",
        gallery=f"nobody of the test list has a usable walk among {', '.join(TUM_TEST['gallery'])}",
        probe=f"nobody of the test list has a usable walk among {', '.join(TUM_TEST['probe'])}",
    )


def partition_for(
    model: str, store: SequenceStore, rules: Mapping[str, Any], distance: Distance
) -> tuple[TrainingSet, TestSet]:
    """The partition of a store for one model.

    Args:
        model: whose partition it is.
        store: preprocessed sequences.
        rules: ``partition`` of the dataset's entry in params.yaml.
        distance: ``distance`` of the model's entry, by which it is tested.

    Raises:
        DataError: the dataset does not fit the rules.
    """
    protocol, chosen = choose(store.sequences, store.identities, store.split, rules)
    common = (model, store.modality, store.digest, store.dataset, store.evidence)
    training_set = TrainingSet(*common, chosen["train"])
    later = (chosen.get("temporal_gallery", []), chosen.get("temporal_probe", []))
    return training_set, TestSet(*common, protocol, distance, chosen["gallery"], chosen["probe"], *later)


def choose(
    sequences: Sequence[GaitSequence],
    identities: Sequence[str],
    split: Mapping[str, Sequence[str]],
    rules: Mapping[str, Any],
) -> tuple[str, dict[str, list[int]]]:
    """The protocol of some rules, and positions of sequences by what they are for.

    Args:
        sequences: all usable ones, or all that there are files of.
        identities: all people of the dataset.
        split: identities of each part, where the dataset comes with lists of them.
        rules: ``partition`` of the dataset's entry in params.yaml.

    Raises:
        DataError: the dataset does not fit the rules, or no probe could be recognised by the protocol.
    """
    protocol = rules["protocol"]
    parted: Mapping[str, Callable[[], dict[str, list[int]]]] = {
        "casia-b": lambda: casia_b(sequences, identities, rules["train_subjects"], without=rules["without"]),
        "oumvlp": lambda: oumvlp(sequences),
        "tum-gaid": lambda: tum_gaid(sequences, split),
        "own": lambda: casia_b(sequences, identities, rules["train_subjects"], rules["gallery"]),
    }
    if protocol == "own":
        _check_gallery(rules["gallery"], {sequence.condition for sequence in sequences})
    chosen = parted[protocol]()
    if protocol == "own":
        protocol = "cross-view" if rules["cross_view"] else "all-views"
    _check_comparable(sequences, chosen, protocol)
    return protocol, chosen


def _check_comparable(sequences: Sequence[GaitSequence], chosen: Mapping[str, Sequence[int]], protocol: str) -> None:
    """Fail where the protocol compares no probe with a walk of its own person."""
    gallery = [sequences[position] for position in chosen["gallery"]]
    probes = [sequences[position] for position in chosen["probe"]]
    enrolled = {sequence.identity for sequence in gallery}
    if not any(probe.identity in enrolled for probe in probes):
        raise DataError("no probe's identity is enrolled: nobody of the test identities has both a gallery walk and another")
    if protocol not in CROSS_VIEW or any(_comparable(sequences, chosen)):
        return
    views = sorted({sequence.view for sequence in [*gallery, *probes]})
    there = f"the only view is {views[0]}" if len(views) == 1 else "nobody's probes and gallery are of different views"
    remedy = (
        "set datasets.<name>.partition.cross_view to false, or bring walks in other views"
        if protocol == "cross-view"
        else "bring walks in other views, or take `partition: {protocol: own, ..., cross_view: false}`"
    )
    raise DataError(f"{there}, and protocol {protocol} compares walks of different views alone; {remedy}")


def _comparable(sequences: Sequence[GaitSequence], chosen: Mapping[str, Sequence[int]]) -> Iterator[bool]:
    """Of each probe, whether its person is enrolled in another view."""
    views: dict[str, set[str]] = {}
    for position in chosen["gallery"]:
        views.setdefault(sequences[position].identity, set()).add(sequences[position].view)
    for position in chosen["probe"]:
        probe = sequences[position]
        yield bool(views.get(probe.identity, set()) - {probe.view})


def doubts(sequences: Sequence[GaitSequence], chosen: Mapping[str, Sequence[int]], protocol: str) -> list[str]:
    """What its user should know of a partition that is not wrong.

    Args:
        sequences, chosen, protocol: of :func:`choose`.

    Returns:
        Sentences: who is enrolled and never probed, whose probes cannot be recognised, which conditions have no probe.
    """
    enrolled, probed = ({sequences[position].identity for position in chosen[part]} for part in ("gallery", "probe"))
    told = []
    if lacking := sorted(enrolled - probed):
        told.append(f"enrolled, but with no probe: {_listed(lacking)}")
    if lacking := sorted(probed - enrolled):
        counted = "left out of the rates, and misses in those of all probes" if protocol == "oumvlp" else "misses"
        told.append(f"not enrolled, so that their probes are {counted}: {_listed(lacking)}")
    if protocol in CROSS_VIEW:
        alone = sum(not comparable for comparable in _comparable(sequences, chosen)) - sum(
            sequences[position].identity not in enrolled for position in chosen["probe"]
        )
        if alone:
            told.append(f"{alone} probes have no gallery walk of their person in another view, and can only be misses")
    if protocol != "oumvlp":
        kinds = {sequences[position].kind for position in [*chosen["train"], *chosen["gallery"]]}
        if lacking := sorted(kinds - {sequences[position].kind for position in chosen["probe"]}):
            told.append(f"no probe of {', '.join(lacking)}: there will be no rank-1 of it")
    return told


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more
