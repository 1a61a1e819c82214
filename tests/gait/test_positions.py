from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gait.evaluation import positions as module
from gait.evaluation import projections
from gait.evaluation.blocks import Search
from gait.evaluation.positions import positions
from gait.evaluation.ranking import NOBODY, closer_wrong
from tests.gait.test_ranking import search, unit, world
from tests.support.families import some


def naive(values: np.ndarray, asked: Search, kind: str, pooled: bool) -> list[list[list[int]]]:
    """The positions by a stable sort of float64 distances, by the definition of each protocol."""
    result = []
    for row, probe in enumerate(asked.probe):
        answers = []
        for group in [None] if pooled else range(asked.excluded.shape[1]):
            members = asked.gallery if pooled else asked.gallery[asked.groups == group]
            right = asked.people[members] == asked.people[probe]
            if pooled:  # identical views of the same person are left out, and nothing else
                kept = ~(right & asked.excluded[row, asked.groups])
                members, right = members[kept], right[kept]
            elif asked.excluded[row, group]:
                right = np.zeros_like(right)
            if kind == "euclidean":
                ours, theirs = values[probe].astype(np.float64), values[members].astype(np.float64)
                far = np.sqrt(((ours - theirs) ** 2).sum(-1)).mean(-1)
            else:
                far = 1 - (unit(values[probe]) * unit(values[members])).sum(-1).mean(-1)
            answers.append((np.flatnonzero(right[np.argsort(far, kind="stable")]) + 1).tolist())
        result.append(answers)
    return result


def listed(places: np.ndarray) -> list[list[list[int]]]:
    return [[[place for place in group if place] for group in row] for row in places.tolist()]


@settings(max_examples=120)
@given(
    seed=st.integers(0, 2**32 - 1),
    samples=st.integers(2, 90),
    people=st.integers(1, 8),
    groups=st.integers(1, 3),
    shape=st.sampled_from([(1, 1), (3, 2), (4, 17), (2, 128)]),
    spread=st.sampled_from([0.0, 1e-4, 0.3, 2.0]),
    ties=st.sampled_from([0.0, 0.3, 1.0]),
    power=st.sampled_from([-38, -3, 0, 20, 35]),
    kind=st.sampled_from(["euclidean", "cosine"]),
    pooled=st.booleans(),
)
def test_positions_are_those_of_a_stable_sort(
    seed, samples, people, groups, shape, spread, ties, power, kind, pooled
) -> None:
    rng = np.random.default_rng(seed)
    whose = rng.integers(0, people, samples)
    values = 10.0**power * (rng.normal(size=(people, *shape))[whose] + spread * rng.normal(size=(samples, *shape)))
    again = np.flatnonzero(rng.random(samples) < ties)
    values[again] = values[rng.choice(again, len(again))] if len(again) else values[again]
    asked = search(rng, whose, groups)
    if len(asked.gallery) < groups or not len(asked.probe):
        return
    raw = values.astype(np.float32)
    kept = raw.copy()
    places = positions(raw, asked, kind, pooled=pooled)
    assert listed(places) == naive(raw, asked, kind, pooled)
    assert (places[..., :-1] >= 1)[places[..., 1:] > 0].all(), "zeros are not at the end"
    np.testing.assert_array_equal(raw, kept)


@pytest.mark.parametrize("pooled", some([False, True], True))
@pytest.mark.parametrize("spread", [0.3, 20.0])
def test_projections_blocks_and_threads_change_no_position(spread: float, pooled: bool) -> None:
    values, asked = world(13, spread)
    wanted = naive(values, asked, "euclidean", pooled)
    for chunk, share in ((5, 0.05), (1000, 1.0)):
        with (
            mock.patch.multiple(module, CHUNK_ROWS=chunk, BLOCK_SHARE=share),
            mock.patch.object(projections, "SAMPLE", 20),
        ):
            assert listed(positions(values, asked, pooled=pooled)) == wanted
            assert listed(positions(values, asked, threads=3, pooled=pooled)) == wanted


def test_the_first_position_says_what_the_search_for_ranks_says() -> None:
    values, asked = world(30, 1.5)
    closer, first = closer_wrong(values, asked), positions(values, asked)[..., 0]
    np.testing.assert_array_equal(closer == NOBODY, first == 0)
    for rank in asked.ranks:
        np.testing.assert_array_equal((closer >= 0) & (closer < rank), (first > 0) & (first <= rank))
