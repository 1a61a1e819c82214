"""Who trains and who is tested."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gait.data.partitions import Partition, casia_b
from gait.data.sequences import Sequence
from gait.errors import DataError

CONDITIONS = [f"nm-0{number}" for number in range(1, 7)] + ["bg-01", "bg-02", "cl-01", "cl-02"]


def sequences(
    identities: list[str], conditions: list[str] = CONDITIONS, views: tuple[str, ...] = ("000", "090")
) -> list[Sequence]:
    names = [(identity, condition, view) for identity in identities for condition in conditions for view in views]
    return [Sequence(*name, start=position, count=1) for position, name in enumerate(names)]


def people(number: int) -> list[str]:
    return [f"{identity:03d}" for identity in range(1, number + 1)]


def test_casia_b_itself_is_parted_as_published() -> None:
    every = sequences(people(124), views=tuple(f"{view:03d}" for view in range(0, 181, 18)))
    chosen = casia_b(every, 74)
    assert {every[position].identity for position in chosen["train"]} == set(people(74))
    assert len(chosen["train"]) == 74 * 110
    assert {every[position].condition for position in chosen["gallery"]} == {"nm-01", "nm-02", "nm-03", "nm-04"}
    assert {every[position].condition for position in chosen["probe"]} == {
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
def test_every_sequence_has_one_place_and_nobody_is_on_both_sides(drawn: tuple[list[Sequence], int], training: int) -> None:
    kept = drawn[0][: drawn[1]]
    try:
        chosen = casia_b(kept, training, people(6))
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


def test_a_training_identity_without_usable_walks_moves_nobody_to_the_training_side() -> None:
    without_005 = sequences([identity for identity in people(124) if identity != "005"])
    chosen = casia_b(without_005, 74, people(124))
    trained = {without_005[position].identity for position in chosen["train"]}
    assert len(trained) == 73
    assert "075" not in trained


@pytest.mark.parametrize(
    ("identities", "conditions", "training", "said"),
    [
        (4, CONDITIONS, 4, "train_subjects = 4: the dataset has 4 identities, so none is left to test"),
        (4, CONDITIONS, 74, "train_subjects = 74: the dataset has 4 identities"),
        (4, CONDITIONS, 0, "no train sequences: the first 0 identities"),
        (4, CONDITIONS[4:], 2, "no gallery sequences: the other identities have no usable walk among nm-01, nm-02"),
        (4, CONDITIONS[:4], 2, "no probe sequences: the other identities have no usable walk besides nm-01, nm-02"),
    ],
)
def test_a_side_that_would_be_empty_is_refused(identities: int, conditions: list[str], training: int, said: str) -> None:
    with pytest.raises(DataError) as told:
        casia_b(sequences(people(identities), conditions), training)
    assert str(told.value).startswith(said)


def test_no_sequences_at_all_are_refused() -> None:
    with pytest.raises(DataError, match="the dataset has 0 identities"):
        casia_b([], 1)


PARTITION = Partition("gaitset", "silhouette", "abc", "walkers", "synthetic", [0, 1], [2], [3, 4])


def test_a_partition_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "gaitset.json"
    path.write_text(json.dumps(PARTITION.to_json()))
    assert Partition.load(path) == PARTITION


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "null",
        json.dumps({**PARTITION.to_json(), "more": 1}),
        json.dumps({**PARTITION.to_json(), "train": None}),
        json.dumps({**PARTITION.to_json(), "probe": ["0"]}),
        json.dumps({**PARTITION.to_json(), "probe": [-1]}),
    ],
)
def test_a_file_that_is_no_partition_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "gaitset.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"gaitset\.json: not a partition"):
        Partition.load(path)
    with pytest.raises(DataError, match=r"other\.json: no such file"):
        Partition.load(tmp_path / "other.json")
