"""Partitions of people and sequences into training and test by a protocol's rules, and checks of them."""

from __future__ import annotations

import difflib
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gait import protocols
from gait.data.prepared.sets import Distance, TestSet, TrainingSet
from gait.errors import DataError
from gait.protocols import Comparison

if TYPE_CHECKING:
    from gait.data.prepared.sequences import Sequence as GaitSequence
    from gait.data.prepared.sequences import SequenceStore

MOST_LISTED = 10


def first_train(
    sequences: Sequence[GaitSequence],
    identities: Sequence[str],
    train_subjects: int,
    gallery: Sequence[str],
    without: Sequence[str] = (),
    probe: Sequence[str] | None = None,
) -> dict[str, list[int]]:
    """A partition whose first identities train; walks of the others are gallery or probes by their condition.

    Args:
        sequences: all sequences of a store.
        identities: all people of the dataset. A training identity without usable sequences (005 in some copies of CASIA-B)
            leaves one less to train, and moves nobody from the test side.
        train_subjects: the number of identities that train.
        gallery: the enrolled conditions.
        without: training identities to leave out.
        probe: the conditions to look for; by default all that are not enrolled.

    Raises:
        DataError: too few identities, or no training, gallery or probe sequence.
    """
    check_people(identities, train_subjects)
    training = set(sorted(identities)[:train_subjects])
    if strangers := sorted(set(without) - training):
        raise DataError(f"without = {strangers}: not among the first {train_subjects} identities, which train")
    train: list[int] = []
    others: list[int] = []
    for position, sequence in enumerate(sequences):
        if sequence.identity not in training:
            others.append(position)
        elif sequence.identity not in without:
            train.append(position)
    chosen = {"train": train, **by_condition(sequences, others, gallery, probe)}
    enrolled = ", ".join(gallery)
    asked = f"among {', '.join(probe)}" if probe else f"besides {enrolled}"
    return complete(
        chosen,
        train=f"the first {train_subjects} identities have no usable walk",
        gallery=f"the other identities have no usable walk among {enrolled}",
        probe=f"the other identities have no usable walk {asked}",
    )


def by_condition(
    sequences: Sequence[GaitSequence], positions: Iterable[int], gallery: Sequence[str], probe: Sequence[str] | None = None
) -> dict[str, list[int]]:
    """Walks as "gallery" and "probe" by their condition.

    Args:
        sequences: all sequences of a store.
        positions: of the walks.
        gallery: the enrolled conditions.
        probe: the conditions to look for; by default all that are not enrolled.
    """
    chosen: dict[str, list[int]] = {"gallery": [], "probe": []}
    for position in positions:
        condition = sequences[position].condition
        if condition in gallery:
            chosen["gallery"].append(position)
        elif probe is None or condition in probe:
            chosen["probe"].append(position)
    return chosen


def first_and_others(sequences: Sequence[GaitSequence], positions: Iterable[int]) -> tuple[list[int], list[int]]:
    """The first walk of each person, and all others.

    Args:
        sequences: all sequences of a store.
        positions: of the walks.
    """
    first: dict[str, int] = {}
    positions = list(positions)
    for position in positions:
        first.setdefault(sequences[position].identity, position)
    return list(first.values()), [position for position in positions if first[sequences[position].identity] != position]


def check_people(identities: Sequence[str], train_subjects: int) -> None:
    """Fail where nobody would be left to test.

    Raises:
        DataError: the dataset has no more identities than ``train_subjects``.
    """
    if len(identities) <= train_subjects:
        raise DataError(
            f"train_subjects = {train_subjects}: the dataset has {len(identities)} identities, so none is left to test"
        )


def check_conditions(setting: str, conditions: Sequence[str], sequences: Sequence[GaitSequence]) -> None:
    """Fail where a setting names conditions that nobody walked in.

    Args:
        setting: the setting's name, such as "gallery".
        conditions: the conditions that it names.
        sequences: all sequences.

    Raises:
        DataError: a condition is unknown; the message has the names most like it.
    """
    known = {sequence.condition for sequence in sequences}
    if unknown := [name for name in conditions if name not in known]:
        raise DataError(f"{setting} = {unknown}: no walk has such a condition; {_near(unknown[0], known)}")


def _near(name: str, known: Iterable[str]) -> str:
    """The end of a message: the known names that a mistyped one most likely means, and all that there are."""
    names = sorted(known)
    # People remember capitals, and "-" or "_" before a number, least.
    plain = {re.sub("[-_. ]", "", known_name).lower(): known_name for known_name in names}
    close = difflib.get_close_matches(re.sub("[-_. ]", "", name).lower(), plain, 3)
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return (f"did you mean {' or '.join(plain[key] for key in close)}? " if close else "") + f"(there: {shown})"


def of_lists(
    sequences: Sequence[GaitSequence],
    name: str,
    split: Mapping[str, Sequence[str]],
    places: str = "OpenGait's repository holds it",
) -> tuple[list[int], list[int]]:
    """The walks of who trains and of who is tested, by a list that the user puts into the dataset's folder.

    Args:
        sequences: all sequences of a store.
        name: of the list's file, such as "CCPG.json".
        split: identities under "train" and "test"; empty without a list.
        places: where the list is to be had, in words.

    Raises:
        DataError: there is no list, or somebody is to train and to be tested.
    """
    if not split:
        raise DataError(f"{name} is not in the dataset's folder: it says who trains and is tested; {places}")
    train, test = (frozenset(split[part]) for part in ("train", "test"))
    if both := sorted(train & test):
        raise DataError(f"{name}: {', '.join(both[:3])} are to train and to be tested")
    trained, tested = (
        [position for position, sequence in enumerate(sequences) if sequence.identity in people] for people in (train, test)
    )
    return trained, tested


def complete(chosen: dict[str, list[int]], **reasons: str) -> dict[str, list[int]]:
    """The parts ``chosen``, if none that has a reason is empty.

    Raises:
        DataError: such a part is empty; the message is its reason.
    """
    for part, reason in reasons.items():
        if not chosen[part]:
            raise DataError(f"no {part} sequences: {reason}")
    return chosen


def partition_for(
    model: str, store: SequenceStore, rules: Mapping[str, Any], distance: Distance, set_aside: int = 0, seed: int = 0
) -> tuple[TrainingSet, TestSet]:
    """The partition of a store for one model.

    Args:
        model: the model's name.
        store: preprocessed sequences.
        rules: ``partition`` of the dataset's entry in params.yaml.
        distance: ``distance`` of the model's entry, by which it is tested.
        set_aside: how many training identities do not train, but test the training while it runs.
        seed: the seed of their draw.

    Raises:
        DataError: the dataset does not fit the rules, or too few identities are left to train or can be set aside.
    """
    protocol, chosen = choose(store.sequences, store.identities, store.split, rules)
    common = (model, store.modality, store.digest, store.dataset, store.evidence)
    if set_aside:
        train, drawn = _with_validation(model, store.sequences, chosen["train"], rules, set_aside, seed)
        training_set = TrainingSet(*common, train, drawn["gallery"], drawn["probe"], protocol, distance)
    else:
        training_set = TrainingSet(*common, chosen["train"])
    later = (chosen.get("temporal_gallery", []), chosen.get("temporal_probe", []))
    return training_set, TestSet(*common, protocol, distance, chosen["gallery"], chosen["probe"], *later)


def _with_validation(
    model: str, sequences: Sequence[GaitSequence], train: Sequence[int], rules: Mapping[str, Any], count: int, seed: int
) -> tuple[list[int], dict[str, list[int]]]:
    """The walks that train, and those of ``count`` people drawn from the training side, as gallery and probe."""
    protocol, settings = protocols.chosen(rules)
    roles = protocol.validation(sequences, train, settings)
    enrolled, probed = ({sequences[position].identity for position in roles[part]} for part in ("gallery", "probe"))
    able, people = sorted(enrolled & probed), {sequences[position].identity for position in train}
    if count > min(len(able), len(people) - 2):
        raise DataError(
            f"model.{model}.validation.identities = {count}: {len(able)} of {len(people)} training identities have both a "
            "gallery walk and a probe, and at least 2 must be left to train"
        )
    drawn = set(random.Random(seed).sample(able, count))
    chosen = {part: [position for position in roles[part] if sequences[position].identity in drawn] for part in roles}
    name = protocol.comparison(settings)
    _check_comparable(sequences, chosen, name, protocol.COMPARISONS[name])
    return [position for position in train if sequences[position].identity not in drawn], chosen


def choose(
    sequences: Sequence[GaitSequence],
    identities: Sequence[str],
    split: Mapping[str, Sequence[str]],
    rules: Mapping[str, Any],
) -> tuple[str, dict[str, list[int]]]:
    """The comparison of a test by these rules, as records name it, and positions of sequences by their part.

    Args:
        sequences: all usable sequences, or all that have files.
        identities: all people of the dataset.
        split: identities of each part, where the dataset comes with lists of them.
        rules: ``partition`` of the dataset's entry in params.yaml.

    Raises:
        DataError: the dataset does not fit the rules, or no probe could be recognised by the protocol.
    """
    protocol, settings = protocols.chosen(rules)
    parts = protocol.partition(sequences, identities, split, settings)
    name = protocol.comparison(settings)
    _check_comparable(sequences, parts, name, protocol.COMPARISONS[name])
    return name, parts


def _check_comparable(
    sequences: Sequence[GaitSequence], chosen: Mapping[str, Sequence[int]], name: str, comparison: Comparison
) -> None:
    """Fail where the protocol compares no probe with a walk of its own person."""
    gallery = [sequences[position] for position in chosen["gallery"]]
    probes = [sequences[position] for position in chosen["probe"]]
    enrolled = {sequence.identity for sequence in gallery}
    if not any(probe.identity in enrolled for probe in probes):
        raise DataError("no probe's identity is enrolled: nobody of the test identities has both a gallery walk and another")
    if not comparison.cross_view or any(_comparable(sequences, chosen)):
        return
    views = sorted({sequence.view for sequence in [*gallery, *probes]})
    reason = f"the only view is {views[0]}" if len(views) == 1 else "nobody's probes and gallery are of different views"
    raise DataError(f"{reason}, and protocol {name} compares walks of different views alone; {comparison.one_view}")


def _comparable(sequences: Sequence[GaitSequence], chosen: Mapping[str, Sequence[int]]) -> Iterator[bool]:
    """Whether each probe's person is enrolled in another view."""
    views: dict[str, set[str]] = {}
    for position in chosen["gallery"]:
        views.setdefault(sequences[position].identity, set()).add(sequences[position].view)
    for position in chosen["probe"]:
        probe = sequences[position]
        yield bool(views.get(probe.identity, set()) - {probe.view})


def doubts(sequences: Sequence[GaitSequence], chosen: Mapping[str, Sequence[int]], protocol: str) -> list[str]:
    """Doubts about a valid partition, for its user.

    Args:
        sequences, chosen, protocol: of :func:`choose`.

    Returns:
        Sentences: who is enrolled and never probed, whose probes cannot be recognised, which conditions have no probe.
    """
    comparison = protocols.comparisons()[protocol]
    enrolled, probed = ({sequences[position].identity for position in chosen[part]} for part in ("gallery", "probe"))
    sentences = []
    if lacking := sorted(enrolled - probed):
        sentences.append(f"enrolled, but with no probe: {_listed(lacking)}")
    if lacking := sorted(probed - enrolled):
        sentences.append(f"not enrolled, so that their probes are {comparison.unenrolled}: {_listed(lacking)}")
    if comparison.cross_view:
        alone = sum(not comparable for comparable in _comparable(sequences, chosen)) - sum(
            sequences[position].identity not in enrolled for position in chosen["probe"]
        )
        if alone:
            sentences.append(f"{alone} probes have no gallery walk of their person in another view, and can only be misses")
    if comparison.by_condition:
        kinds = {sequences[position].kind for position in [*chosen["train"], *chosen["gallery"]]}
        if lacking := sorted(kinds - {sequences[position].kind for position in chosen["probe"]}):
            sentences.append(f"no probe of {', '.join(lacking)}: there will be no rank-1 of it")
    return sentences


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more
