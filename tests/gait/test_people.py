"""Hits of each person: the protocol's own mean follows from them, and records hold them in few bytes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from gait import protocols
from gait.data.prepared.sequences import Sequence
from gait.data.prepared.sets import TestSet
from gait.errors import DataError
from gait.evaluation.hits import Hits
from gait.evaluation.signatures import Signatures
from gait.people import ByPerson, packed, unpacked
from tests.support.families import some

VIEWS = ("000", "036", "090")
CONDITIONS = {
    "casia-b": [*(f"nm-0{n}" for n in range(1, 7)), "bg-01", "bg-02", "cl-01", "cl-02"],
    "oumvlp": ["00", "01"],
    "tum-gaid": [*(f"n0{n}" for n in range(1, 7)), "b01", "b02", "s01", "s02"],
}
CLOTHES = ["U0_D0-0", "U0_D0_BG-0", "U0_D3-0", "U1_D0-0", "U1_D1-0", "U2_D2-0", "U3_D3-0"]
CONDITIONS |= {"ccpg": CLOTHES, "sustech1k": ["00-nm", "01-nm", "01-bg", "02-cl", "03-uf-nt", "04-oc"]}
LIKE_CASIA_B = (
    *("cross-view", "all-views", "all-views-reranked", "casia-b-cross-view-gallery"),
    *("gait3d", "gait3d-reranked", "grew"),
)
CONDITIONS |= dict.fromkeys(LIKE_CASIA_B, CONDITIONS["casia-b"]) | {"oumvlp-cross-view-gallery": CONDITIONS["oumvlp"]}
ENROLLED = {"oumvlp": ["01"], "oumvlp-cross-view-gallery": ["01"], "tum-gaid": ["n01", "n02", "n03", "n04"]}
ENROLLED |= {"ccpg": ["U0_D0-0", "U0_D3-0", "U1_D1-0", "U2_D2-0", "U3_D3-0"], "sustech1k": ["00-nm"]}
LOOKED_FOR = {"ccpg": ["U0_D0-0", "U0_D0_BG-0", "U1_D0-0", "U3_D3-0"]}  # of the other protocols, all that are not enrolled


def a_test(protocol: str, people: int, seed: int) -> tuple[Signatures, list[Sequence], TestSet]:
    """A test in which some walks are missing, so that people and cells have different numbers of probes."""
    rng = np.random.default_rng(seed)
    sequences = [
        Sequence(f"{2 * person:05d}", condition, view, 0, 1)
        for person in range(people)
        for condition in CONDITIONS[protocol]
        for view in VIEWS
        if rng.random() < 0.85
    ]
    gallery = [n for n, s in enumerate(sequences) if s.condition in ENROLLED.get(protocol, CONDITIONS["casia-b"][:4])]
    probe = sorted(set(range(len(sequences))) - set(gallery))
    if protocol in LOOKED_FOR:
        probe = [n for n, s in enumerate(sequences) if s.condition in LOOKED_FOR[protocol]]
    own = [np.eye(people)[int(s.identity) // 2][None] + 0.5 * rng.normal(size=(1, people)) for s in sequences]
    signatures = Signatures.collect(range(len(sequences)), (signature[None] for signature in own))
    return signatures, sequences, TestSet(
        "gaitset", "silhouette", "", "walkers", "synthetic", protocol, "euclidean", gallery, probe
    )  # fmt: skip


def test_every_protocol_is_tried_below() -> None:
    assert set(CONDITIONS) == set(protocols.comparisons())


@pytest.mark.parametrize("protocol", CONDITIONS)
@pytest.mark.parametrize("seed", some(range(4), 0))
def test_the_hits_of_all_people_give_exactly_the_recorded_mean(protocol: str, seed: int) -> None:
    signatures, sequences, test = a_test(protocol, 6, seed)
    hits = protocols.identified(signatures, sequences, test)
    rank1 = protocols.rates(hits, signatures, sequences, test)["rank1"]
    kept = ByPerson.from_json(json.loads(json.dumps(hits.by_person().to_json())))
    assert 0 < rank1["mean"] < 100
    assert kept.mean == rank1["mean"]
    assert len(kept.hits) == rank1["people"]


@pytest.mark.parametrize("protocol", CONDITIONS)
def test_the_hits_of_some_people_give_the_mean_of_a_test_of_their_probes(protocol: str) -> None:
    signatures, sequences, test = a_test(protocol, 6, 9)
    everybody = protocols.identified(signatures, sequences, test)
    whole = everybody.by_person()
    names = np.unique(everybody.identities)
    some = np.isin(everybody.identities, names[[0, 2, 5]])
    alone = Hits(
        everybody.kinds[some],
        everybody.identities[some],
        everybody.probe_views[some],
        everybody.gallery_views,
        {"rank1": everybody.hits["rank1"][some]},
    )
    assert len(whole.hits) == len(names)
    assert ByPerson("", whole.hits[[0, 2, 5]], whole.counted[[0, 2, 5]]).mean == alone.rates()["mean"]


def test_only_the_same_people_and_probes_are_comparable() -> None:
    one, counted = np.ones((2, 1, 1, 1), int), np.full((2, 1, 1, 1), 3)
    first = ByPerson.of(["a", "b"], one, counted)
    assert first.comparable(ByPerson.of(["a", "b"], 0 * one, counted))
    assert not first.comparable(ByPerson.of(["a", "c"], one, counted))
    assert not first.comparable(ByPerson.of(["a", "b"], one, counted + 1))


def test_a_record_names_nobody() -> None:
    one = np.ones((2, 1, 1, 1), int)
    assert "alice" not in json.dumps(ByPerson.of(["alice", "bob"], one, one).to_json())


@given(arrays(np.uint32, array_shapes(max_dims=4, max_side=5), elements=st.integers(0, 2**32 - 1)))
def test_packed_numbers_come_back(numbers: np.ndarray) -> None:
    restored = unpacked(packed(numbers), numbers.shape)
    assert np.array_equal(restored, numbers)


@pytest.mark.slow
def test_the_test_of_oumvlp_takes_few_bytes() -> None:
    """5,153 people in 14 views, of whom 85 % of the probes are hits by chance, which is as hard to pack as it gets."""
    rng = np.random.default_rng(0)
    counted = np.broadcast_to(~np.eye(14, dtype=bool), (5153, 1, 14, 14)).astype(int)
    people = ByPerson.of([f"{2 * n:05d}" for n in range(5153)], counted * (rng.random(counted.shape) < 0.85), counted)
    assert len(json.dumps(people.to_json())) < 200_000


DAMAGE = {
    "a key is missing": lambda content: content.pop("hits"),
    "no base64": lambda content: content.update(hits="?"),
    "not packed": lambda content: content.update(hits="AAAA"),
    "another shape": lambda content: content.update(shape=[2, 1, 1, 2]),
    "a shape that is none": lambda content: content.update(shape=[2, -1, -1, 1]),
    "three axes": lambda content: content.update(shape=[2, 1, 1]),
    "more hits than probes": lambda content: content.update(counted=packed(np.zeros((2, 1, 1, 1), int))),
    "people are no digest": lambda content: content.update(people=3),
    "far too much": lambda content: content.update(hits=packed(np.zeros(10**6, int))),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damaged_hits_are_refused(what: str) -> None:
    one = np.ones((2, 1, 1, 1), int)
    content = ByPerson.of(["a", "b"], one, one).to_json()
    DAMAGE[what](content)
    with pytest.raises(DataError, match="the hits of each person are damaged"):
        ByPerson.from_json(content)
