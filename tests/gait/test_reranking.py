"""Re-ranking against its definition in sets, and what it is for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gait import protocols
from gait.data.prepared.sequences import Sequence
from gait.errors import DataError
from gait.evaluation import reranking
from gait.evaluation.reranking import of_distances, reranked
from gait.evaluation.retrieval import positions_of
from gait.protocols import own
from tests.gait.test_protocols import collected, parted


def by_definition(far: np.ndarray, probes: int, k1: int, k2: int, share: float) -> np.ndarray:
    """Zhong et al., equations 2 to 12, with sets and dictionaries."""
    count = len(far)
    far = far / far.max(1, keepdims=True)
    ranked = [sorted(range(count), key=lambda other, row=row: (far[row, other], other)) for row in range(count)]

    def reciprocal(row: int, k: int) -> set[int]:
        return {other for other in ranked[row][: k + 1] if row in ranked[other][: k + 1]}

    vectors = []
    for row in range(count):
        near = reciprocal(row, k1)
        grown = set(near)
        for other in near:
            candidates = reciprocal(other, round(k1 / 2))
            if len(candidates & near) > 2 / 3 * len(candidates):
                grown |= candidates
        total = sum(np.exp(-far[row, other]) for other in grown)
        vectors.append({other: np.exp(-far[row, other]) / total for other in grown})
    averaged = []
    for row in range(count):
        around = ranked[row][:k2] if k2 > 1 else [row]
        keys = {key for other in around for key in vectors[other]}
        averaged.append({key: sum(vectors[other].get(key, 0) for other in around) / len(around) for key in keys})
    result = np.empty((probes, count - probes))
    for row in range(probes):
        for place, other in enumerate(range(probes, count)):
            keys = averaged[row].keys() | averaged[other].keys()
            least = sum(min(averaged[row].get(key, 0), averaged[other].get(key, 0)) for key in keys)
            most = sum(max(averaged[row].get(key, 0), averaged[other].get(key, 0)) for key in keys)
            result[row, place] = (1 - share) * (1 - least / most) + share * far[row, other]
    return result


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(2, 40),
    probes=st.integers(1, 10),
    k1=st.integers(1, 12),
    k2=st.integers(1, 15),
    share=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_distances_are_those_of_the_definition(seed, count, probes, k1, k2, share) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 3))
    far = np.sqrt(((points[:, None] - points) ** 2).sum(-1))
    probes = min(probes, count - 1)
    wanted = by_definition(far, probes, k1, k2, share)
    np.testing.assert_allclose(of_distances(far.copy(), probes, k1, k2, share), wanted, atol=1e-5)


def test_distances_of_signatures_are_those_of_all_pairs() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(30, 3, 5)).astype(np.float32)
    probe, gallery = np.array([4, 1, 9]), np.arange(10, 30)
    rows = np.concatenate([probe, gallery])
    far = np.sqrt(((values[rows][:, None].astype(float) - values[rows]) ** 2).sum(-1)).mean(-1)
    np.testing.assert_allclose(reranked(values, probe, gallery), of_distances(far, 3), atol=1e-4)


def test_chains_of_neighbours_bring_people_together() -> None:
    """Each person's walks lie along a curve, whose far end is nearer to somebody else's."""
    rng = np.random.default_rng(1)
    people, walks = 12, 10
    whose = np.repeat(np.arange(people), walks)
    along = np.tile(np.arange(walks), people)
    values = np.stack([1.2 * along, 4.0 * whose], 1)[:, None] + 0.2 * rng.normal(size=(len(whose), 1, 2))
    sequences = [Sequence(f"{who:02d}", f"nm-{walk:02d}", "090", 0, 1) for who, walk in zip(whose, along, strict=True)]
    signatures = dict(enumerate(values))
    probe = [n for n in range(len(whose)) if along[n] == 0]
    gallery = [n for n in range(len(whose)) if along[n]]
    plain = protocols.evaluate(collected(signatures), sequences, parted("all-views", gallery, probe))
    again = protocols.evaluate(collected(signatures), sequences, parted("all-views-reranked", gallery, probe))
    assert again["mAP"]["mean"] > plain["mAP"]["mean"] + 5
    assert again["open_set"] == plain["open_set"]  # a threshold is for distances as they are


def test_positions_of_distances_keep_the_order_of_the_gallery() -> None:
    far = np.array([[2.0, 1, 1, 0], [0, 0, 0, 0]])
    right = np.array([[True, False, True, False], [False, False, False, True]])
    assert positions_of(far, right).tolist() == [[[3, 4]], [[4, 0]]]


def test_what_cannot_be_re_ranked_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="rerank is for cross_view: false"):
        own.comparison(own.Settings(1, ["a-1"], cross_view=True, rerank=True))
    monkeypatch.setattr(reranking, "LARGEST", 5)
    with pytest.raises(DataError, match="6 are more than 5"):
        reranked(np.zeros((6, 1, 1), np.float32), np.arange(3), np.arange(3, 6))
