"""Partitions: the training and test sets of each protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gait import protocols
from gait.data.partitions import first_train, partition_for
from gait.data.prepared.sequences import Sequence, SequenceStore, StoreWriter
from gait.data.prepared.sets import TestSet, TrainingSet
from gait.errors import DataError

CONDITIONS = [f"nm-0{number}" for number in range(1, 7)] + ["bg-01", "bg-02", "cl-01", "cl-02"]


def parted(protocol: str, all_sequences: list[Sequence], identities: Any = (), split: Any = None, **settings: Any) -> Any:
    """The positions of a protocol's partition."""
    chosen, of = protocols.chosen({"protocol": protocol, **settings})
    return chosen.partition(all_sequences, identities, split or {}, of)


def sequences(
    identities: list[str], conditions: list[str] = CONDITIONS, views: tuple[str, ...] = ("000", "090")
) -> list[Sequence]:
    names = [(identity, condition, view) for identity in identities for condition in conditions for view in views]
    return [Sequence(*name, start=position, count=1) for position, name in enumerate(names)]


def people(number: int) -> list[str]:
    return [f"{identity:03d}" for identity in range(1, number + 1)]


def test_casia_b_itself_is_partitioned_as_published() -> None:
    all_sequences = sequences(people(124), views=tuple(f"{view:03d}" for view in range(0, 181, 18)))
    chosen = parted("casia-b", all_sequences, people(124), train_subjects=74)
    assert {all_sequences[position].identity for position in chosen["train"]} == set(people(74))
    assert len(chosen["train"]) == 74 * 110
    assert {all_sequences[position].condition for position in chosen["gallery"]} == {"nm-01", "nm-02", "nm-03", "nm-04"}
    assert {all_sequences[position].condition for position in chosen["probe"]} == {
        "nm-05",
        "nm-06",
        "bg-01",
        "bg-02",
        "cl-01",
        "cl-02",
    }
    assert len(chosen["gallery"]) == 50 * 4 * 11
    assert len(chosen["probe"]) == 50 * 6 * 11


@given(
    st.permutations(sequences(people(6))).flatmap(lambda mixed: st.tuples(st.just(mixed), st.integers(0, len(mixed)))),
    st.integers(1, 5),
)
def test_every_sequence_has_one_place_and_no_person_trains_and_is_tested(
    drawn: tuple[list[Sequence], int], training: int
) -> None:
    kept = drawn[0][: drawn[1]]
    try:
        chosen = parted("casia-b", kept, people(6), train_subjects=training)
    except DataError:
        first = set(people(training))
        test = [sequence for sequence in kept if sequence.identity not in first]
        enrolled = [sequence.condition in ("nm-01", "nm-02", "nm-03", "nm-04") for sequence in test]
        assert len(test) == len(kept) or not any(enrolled) or all(enrolled)
        return
    assert sorted(chosen["train"] + chosen["gallery"] + chosen["probe"]) == list(range(len(kept)))
    sides = [{kept[position].identity for position in chosen[part]} for part in ("train", "gallery", "probe")]
    assert not sides[0] & (sides[1] | sides[2])
    assert sides[0] <= set(people(training))


def test_a_training_identity_without_usable_walks_is_not_replaced() -> None:
    without_005 = sequences([identity for identity in people(124) if identity != "005"])
    chosen = parted("casia-b", without_005, people(124), train_subjects=74)
    trained = {without_005[position].identity for position in chosen["train"]}
    assert len(trained) == 73
    assert "075" not in trained


def test_a_training_identity_can_be_left_out_and_a_test_identity_cannot() -> None:
    all_sequences = sequences(people(6))
    chosen = parted("casia-b", all_sequences, people(6), train_subjects=3, without=["002"])
    assert {all_sequences[position].identity for position in chosen["train"]} == {"001", "003"}
    assert {all_sequences[position].identity for position in chosen["probe"]} == {"004", "005", "006"}
    with pytest.raises(DataError, match=r"without = \['005'\]: not among the first 3 identities"):
        parted("casia-b", all_sequences, people(6), train_subjects=3, without=["005"])


@pytest.mark.parametrize(
    ("identities", "conditions", "training", "message"),
    [
        (4, CONDITIONS, 4, "train_subjects = 4: the dataset has 4 identities, so none is left to test"),
        (4, CONDITIONS, 74, "train_subjects = 74: the dataset has 4 identities"),
        (4, CONDITIONS, 0, "no train sequences: the first 0 identities"),
        (4, CONDITIONS[4:], 2, "no gallery sequences: the other identities have no usable walk among nm-01, nm-02"),
        (4, CONDITIONS[:4], 2, "no probe sequences: the other identities have no usable walk besides nm-01, nm-02"),
    ],
)
def test_an_empty_training_or_test_set_is_refused(
    identities: int, conditions: list[str], training: int, message: str
) -> None:
    with pytest.raises(DataError) as raised:
        parted("casia-b", sequences(people(identities), conditions), people(identities), train_subjects=training)
    assert str(raised.value).startswith(message)


def test_no_sequences_at_all_are_refused() -> None:
    with pytest.raises(DataError, match="the dataset has 0 identities"):
        parted("casia-b", [], train_subjects=1)


def test_oumvlp_itself_is_partitioned_as_published() -> None:
    all_sequences = sequences([f"{number:05d}" for number in range(1, 10308)], ["00", "01"], ("000", "270"))
    chosen = parted("oumvlp", all_sequences)
    who = {part: {all_sequences[position].identity for position in positions} for part, positions in chosen.items()}
    assert (len(who["train"]), len(who["gallery"]), len(who["probe"])) == (5153, 5154, 5154)
    assert who["gallery"] == who["probe"]
    assert "10307" in who["gallery"]
    assert not who["train"] & who["probe"]
    assert {all_sequences[position].condition for position in chosen["gallery"]} == {"01"}
    assert {all_sequences[position].condition for position in chosen["probe"]} == {"00"}


def test_identities_without_numbers_are_refused_for_oumvlp() -> None:
    with pytest.raises(DataError, match="identities are numbers"):
        parted("oumvlp", sequences(["p001"], ["00", "01"]))


def numbered(kinds: dict[str, int]) -> list[str]:
    return [f"{kind}{number:02d}" for kind, count in kinds.items() for number in range(1, count + 1)]


def test_tum_gaid_is_partitioned_by_its_lists_and_has_a_second_test_months_later() -> None:
    once, twice = numbered({"n": 6, "b": 2, "s": 2}), numbered({"n": 12, "b": 4, "s": 4})
    all_sequences = sequences(["001", "002", "003"], twice, ("090",)) + sequences(["100", "200", "300"], once, ("090",))
    split = {"train": ["001", "100"], "validation": ["002"], "test": ["003", "200"]}
    chosen = parted("tum-gaid", all_sequences, split=split)

    def names(part: str) -> set[tuple[str, str]]:
        return {(all_sequences[position].identity, all_sequences[position].condition) for position in chosen[part]}

    assert names("train") == {(person, condition) for person in ("001", "002", "100") for condition in once}
    assert names("gallery") == {(person, f"n0{number}") for person in ("003", "200") for number in range(1, 5)}
    probed = ("n05", "n06", "b01", "b02", "s01", "s02")
    assert names("probe") == {(person, condition) for person in ("003", "200") for condition in probed}
    assert names("temporal_gallery") == {("003", condition) for condition in ("n07", "n08", "n09", "n10")}
    assert names("temporal_probe") == {("003", condition) for condition in ("n11", "n12", "b03", "b04", "s03", "s04")}


def test_tum_gaids_lists_are_needed() -> None:
    with pytest.raises(DataError, match=r"tumgaidtestids\.lst are needed"):
        parted("tum-gaid", sequences(["001"], ["n01"]), split={"train": ["001"]})


def store(directory: Path, conditions: list[str], views: tuple[str, ...] = ("front",)) -> SequenceStore:
    writer = StoreWriter(directory, (4, 4), "uint8")
    for identity in ("a", "b", "c"):
        for condition in conditions:
            for view in views:
                writer.add(identity, condition, view, np.ones((1, 4, 4), np.uint8))
    facts = {"modality": "silhouette", "dataset": "own", "evidence": "own", "fps": 25, "settings": {"kind": "silhouette"}}
    writer.close(**facts, identities=["a", "b", "c"], split={})
    return SequenceStore.open(directory)


@pytest.mark.parametrize(("cross_view", "protocol"), [(True, "cross-view"), (False, "all-views")])
def test_own_data_enrols_the_conditions_that_its_rules_name(tmp_path: Path, cross_view: bool, protocol: str) -> None:
    rules = {"protocol": "own", "train_subjects": 1, "gallery": ["calm-1"], "cross_view": cross_view}
    own = store(tmp_path, ["calm-1", "calm-2", "hasty-1"], ("front", "side"))
    training, test = partition_for("gaitset", own, rules, "euclidean")
    assert (test.protocol, test.distance) == (protocol, "euclidean")
    enrolled = [f"{who}-calm-1-{view}" for who in ("b", "c") for view in ("front", "side")]
    assert [own.sequences[position].name for position in test.gallery] == enrolled
    assert [own.sequences[position].kind for position in test.probe] == ["calm", "calm", "hasty", "hasty"] * 2
    assert {own.sequences[position].identity for position in training.train} == {"a"}
    assert test.positions == sorted(test.gallery + test.probe)


def drawn(sides: tuple[TrainingSet, TestSet], all_sequences: tuple[Sequence, ...]) -> dict[str, set[str]]:
    """The people of each part of a training set and its test set."""
    parts = sides[0].parts() | sides[1].parts()
    return {part: {all_sequences[position].identity for position in positions} for part, positions in parts.items()}


def casia(directory: Path, number: int = 8, views: tuple[str, ...] = ("000", "090")) -> SequenceStore:
    writer = StoreWriter(directory, (4, 4), "uint8")
    for walk in sequences(people(number), ["nm-01", "nm-05", "cl-01"], views):
        writer.add(walk.identity, walk.condition, walk.view, np.ones((1, 4, 4), np.uint8))
    facts = {"modality": "silhouette", "dataset": "made", "evidence": "own", "fps": 25, "settings": {"kind": "silhouette"}}
    writer.close(**facts, identities=people(number), split={})
    return SequenceStore.open(directory)


RULES = {"protocol": "casia-b", "train_subjects": 6}


def test_people_set_aside_neither_train_nor_belong_to_the_test(tmp_path: Path) -> None:
    made = casia(tmp_path)
    _, test = alone = partition_for("gaitset", made, RULES, "cosine")
    draws = []
    for seed in range(8):
        sides = partition_for("gaitset", made, RULES, "cosine", 2, seed)
        who = drawn(sides, made.sequences)
        assert len(who["train"]) == 4
        assert who["validation_gallery"] == who["validation_probe"]
        assert who["train"] | who["validation_probe"] == drawn(alone, made.sequences)["train"] == set(people(6))
        assert not who["train"] & who["validation_probe"]
        assert sides[1] == test
        watched = sides[0].validation()
        assert watched is not None
        assert (watched.protocol, watched.distance) == ("casia-b", "cosine")
        assert {made.sequences[at].condition for at in watched.gallery} == {"nm-01"}
        assert {made.sequences[at].condition for at in watched.probe} == {"nm-05", "cl-01"}
        draws.append(tuple(sorted(who["validation_probe"])))
        assert sides == partition_for("gaitset", made, RULES, "cosine", 2, seed)
    assert len(set(draws)) > 1  # the seed draws them


def test_a_training_set_without_people_set_aside_has_the_same_file_as_ever(tmp_path: Path) -> None:
    training, _ = partition_for("gaitset", casia(tmp_path), RULES, "euclidean")
    assert set(training.to_json()) == {"model", "modality", "digest", "dataset", "evidence", "train"}
    assert training.validation() is None


@pytest.mark.parametrize(("count", "able"), [(5, 6), (7, 6)])
def test_too_few_people_to_set_aside_are_an_error(tmp_path: Path, count: int, able: int) -> None:
    with pytest.raises(DataError) as raised:
        partition_for("gaitset", casia(tmp_path), RULES, "euclidean", count)
    assert str(raised.value) == (
        f"model.gaitset.validation.identities = {count}: {able} of 6 training identities have both a gallery walk and a "
        "probe, and at least 2 must be left to train"
    )


def test_people_set_aside_have_walks_that_the_protocol_can_compare(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the only view is 000, and protocol casia-b compares walks of different views"):
        partition_for("gaitset", casia(tmp_path, views=("000",)), RULES, "euclidean", 2)


def aside(protocol: str, all_sequences: list[Sequence], **settings: Any) -> dict[str, set[str]]:
    """The names of the walks that a protocol takes as gallery and as probes of training people."""
    chosen, of = protocols.chosen({"protocol": protocol, **settings})
    roles = chosen.validation(all_sequences, range(len(all_sequences)), of)
    return {part: {all_sequences[position].name for position in positions} for part, positions in roles.items()}


def test_each_protocol_tests_a_training_as_it_tests_in_the_end() -> None:
    b = sequences(["001"], views=("000",))
    assert aside("casia-b", b, train_subjects=1)["gallery"] == {f"001-nm-0{number}-000" for number in range(1, 5)}
    assert aside("casia-b", b, train_subjects=1, cross_view_gallery=True) == {
        "gallery": {f"001-{kind}-02-000" for kind in ("nm", "bg", "cl")},
        "probe": {f"001-{kind}-01-000" for kind in ("nm", "bg", "cl")},
    }
    walks = sequences(["00001"], ["00", "01"], ("000",))
    assert aside("oumvlp", walks) == {"gallery": {"00001-01-000"}, "probe": {"00001-00-000"}}
    walks = sequences(["p001"], ["n01", "n05", "b01", "n07", "n11"], ("090",))
    assert aside("tum-gaid", walks) == {"gallery": {"p001-n01-090"}, "probe": {"p001-n05-090", "p001-b01-090"}}
    walks = sequences(["a", "b"], ["one", "two", "three"], ("0",))
    enrolled = aside("own", walks, train_subjects=1, gallery=["two"], cross_view=False)
    assert enrolled["gallery"] == {"a-two-0", "b-two-0"}
    assert len(enrolled["probe"]) == 4
    assert aside("gait3d", walks) == {
        "probe": {"a-one-0", "b-one-0"},
        "gallery": {"a-two-0", "a-three-0", "b-two-0", "b-three-0"},
    }
    assert aside("grew", walks) == {"gallery": {"a-one-0", "b-one-0"}, "probe": {"a-two-0", "b-two-0"}}
    walks = sequences(["a"], ["00-nm", "00-bg", "01-nm", "03-cl-ub"], ("000",))
    assert aside("sustech1k", walks) == {"gallery": {"a-00-nm-000"}, "probe": {"a-01-nm-000", "a-03-cl-ub-000"}}
    clothes = ["U0_D0_BG-0", "U0_D0-0", "U1_D1-0", "U3_D3-1", "U0_D3-0", "U1_D0-0"]
    whole, lacking = sequences(["a"], clothes, ("01", "02")), sequences(["b"], clothes[:-1], ("01", "02"))
    alone = [*sequences(["c"], clothes, ("01",)), *sequences(["c"], ["U1_D1-0"], ("02",))]
    # b has no walk for the test DN, and c none before two cameras for the tests UP and BG.
    assert aside("ccpg", whole + lacking + alone) == {
        "gallery": {f"a-{worn}-{at}" for worn in ("U0_D0-0", "U1_D1-0", "U3_D3-1", "U0_D3-0") for at in ("01", "02")},
        "probe": {f"a-{worn}-{at}" for worn in ("U0_D0_BG-0", "U0_D0-0", "U3_D3-1", "U1_D0-0") for at in ("01", "02")},
    }


COMMON = ("gaitset", "silhouette", "abc", "walkers", "synthetic")
TRAINING = TrainingSet(*COMMON, [0, 1])
TEST = TestSet(*COMMON, "casia-b", "cosine", [2], [3, 4])


@pytest.mark.parametrize("side", [TRAINING, TEST], ids=["training", "test"])
def test_each_set_is_read_back_from_its_file(side: TrainingSet | TestSet, tmp_path: Path) -> None:
    path = tmp_path / "gaitset.json"
    path.write_text(json.dumps(side.to_json()))
    assert type(side).load(path) == side


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        *((kind, content) for kind in (TrainingSet, TestSet) for content in ("", "[]", "{}", "null")),
        (TrainingSet, json.dumps({**TRAINING.to_json(), "more": 1})),
        (TrainingSet, json.dumps({**TRAINING.to_json(), "train": None})),
        (TrainingSet, json.dumps(TEST.to_json())),
        (TestSet, json.dumps({**TEST.to_json(), "probe": ["0"]})),
        (TestSet, json.dumps({**TEST.to_json(), "probe": [-1]})),
        (TestSet, json.dumps({**TEST.to_json(), "temporal_probe": [True]})),
        (TestSet, json.dumps({**TEST.to_json(), "distance": "manhattan"})),
        (TestSet, json.dumps({key: value for key, value in TEST.to_json().items() if key != "distance"})),
    ],
)
def test_a_file_that_holds_no_such_set_is_named(tmp_path: Path, kind: type[TestSet], content: str) -> None:
    path = tmp_path / "gaitset.json"
    path.write_text(content)
    with pytest.raises(DataError, match=rf"gaitset\.json: not a {kind.WHAT}"):
        kind.load(path)
    with pytest.raises(DataError, match=r"other\.json: no such file"):
        kind.load(tmp_path / "other.json")


def test_the_work_grows_with_the_number_of_people_and_not_with_its_square() -> None:
    class Name(str):
        compared = 0

        def __eq__(self, other: object) -> bool:
            Name.compared += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    def comparisons(people: int) -> int:
        Name.compared = 0
        names = [f"{number:03d}" for number in range(people)]
        walks = [
            Sequence(Name(name), walk, "090", 2 * place + n, 1)
            for place, name in enumerate(names)
            for n, walk in enumerate(("1", "2"))
        ]
        first_train(walks, [Name(name) for name in names], people // 2, ["1"])
        return Name.compared

    assert 0 < comparisons(200) <= 2.5 * comparisons(100)
