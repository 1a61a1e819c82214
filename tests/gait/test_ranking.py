import tracemalloc
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gait.errors import DataError
from gait.evaluation import blocks, distances, neighbours, projections, ranking
from gait.evaluation.blocks import Search
from gait.evaluation.ranking import NOBODY, closer_wrong
from tests.support.families import some


def unit(values: np.ndarray) -> np.ndarray:
    """Parts scaled to length 1 in float64; those of length 0 stay 0."""
    values = values.astype(np.float64)
    lengths = np.sqrt((values**2).sum(-1, keepdims=True))
    return values / np.where(lengths < np.finfo(np.float32).tiny, np.inf, lengths)


def search(rng: np.random.Generator, people: np.ndarray, groups: int, in_gallery: float = 0.5) -> Search:
    """A search with a gallery of random rows in any order, the other rows as probes, and some excluded cells."""
    gallery = rng.permutation(np.flatnonzero(rng.random(len(people)) < in_gallery))
    probe = rng.permutation(np.setdiff1d(np.arange(len(people)), gallery))
    group = np.concatenate([np.arange(groups), rng.integers(0, groups, max(0, len(gallery) - groups))])[: len(gallery)]
    return Search(probe, gallery, people, group, rng.random((len(probe), groups)) < 0.2)


def naive(values: np.ndarray, asked: Search, kind: str) -> np.ndarray:
    """The counts by a stable sort of float64 distances."""
    result = np.full(asked.excluded.shape, NOBODY)
    for row, probe in enumerate(asked.probe):
        for group in range(asked.excluded.shape[1]):
            members = asked.gallery[asked.groups == group]
            right = asked.people[members] == asked.people[probe]
            if not asked.excluded[row, group] and right.any():
                if kind == "euclidean":
                    ours, theirs = values[probe].astype(np.float64), values[members].astype(np.float64)
                    far = np.sqrt(((ours - theirs) ** 2).sum(-1)).mean(-1)
                else:
                    ours, theirs = unit(values[probe]), unit(values[members])
                    far = 1 - (ours * theirs).sum(-1).mean(-1)
                result[row, group] = np.argmax(right[np.argsort(far, kind="stable")])
    return result


def same_ranks(actual: np.ndarray, wanted: np.ndarray, asked: Search) -> None:
    np.testing.assert_array_equal(actual == NOBODY, wanted == NOBODY)
    for rank in asked.ranks:
        np.testing.assert_array_equal(actual < rank, wanted < rank)


@settings(max_examples=250)
@given(
    seed=st.integers(0, 2**32 - 1),
    samples=st.integers(2, 90),
    people=st.integers(1, 8),
    groups=st.integers(1, 3),
    shape=st.sampled_from([(1, 1), (1, 3), (3, 2), (4, 17), (2, 128)]),
    spread=st.sampled_from([0.0, 1e-4, 0.3, 2.0]),
    ties=st.sampled_from([0.0, 0.3, 1.0]),
    zeros=st.sampled_from([0.0, 0.2]),
    lengths=st.sampled_from([0.0, 0.5, 8.0]),
    power=st.sampled_from([-44, -38, -20, -3, 0, 3, 20, 35]),
    kind=st.sampled_from(["euclidean", "cosine"]),
)
def test_ranks_are_those_of_a_stable_sort(
    seed, samples, people, groups, shape, spread, ties, zeros, lengths, power, kind
) -> None:
    rng = np.random.default_rng(seed)
    whose = rng.integers(0, people, samples)
    values = 10.0**power * (rng.normal(size=(people, *shape))[whose] + spread * rng.normal(size=(samples, *shape)))
    values *= np.exp(np.clip(lengths * rng.normal(size=(samples, shape[0], 1)), -16, 4))
    again = np.flatnonzero(rng.random(samples) < ties)
    values[again] = values[rng.choice(again, len(again))] if len(again) else values[again]
    values[rng.random((samples, shape[0])) < zeros] = 0
    asked = search(rng, whose, groups)
    if len(asked.gallery) < groups or not len(asked.probe):
        return
    raw = values.astype(np.float32)
    kept = raw.copy()
    same_ranks(closer_wrong(raw, asked, kind), naive(raw, asked, kind), asked)
    np.testing.assert_array_equal(raw, kept)


@pytest.mark.parametrize(("gallery", "closer"), [([1, 2, 3], 0), ([2, 1, 3], 1)])
def test_of_equal_distances_the_first_in_the_gallery_is_closer_however_long_its_signature(gallery, closer) -> None:
    values = np.array([2, 5, -1, -1], np.float32)[:, None, None]  # all are 3 away from the first, and 2 is the wrong one
    asked = Search(np.array([0]), np.array(gallery), np.array([7, 7, 8, 7]), np.zeros(3, int), np.zeros((1, 1), bool))
    assert closer_wrong(values, asked) == [[closer]]


def world(people: int, spread: float, parts: int = 6, channels: int = 128) -> tuple[np.ndarray, Search]:
    """Signatures of few dimensions: each person has 4 walks in the gallery and 3 as probes, in 3 views."""
    rng = np.random.default_rng(people)
    whose = np.repeat(np.arange(people), 21)
    walk, view = np.tile(np.repeat(np.arange(7), 3), people), np.tile(np.arange(3), 7 * people)
    latent = rng.normal(size=(people, parts, 12))[whose] + spread * rng.normal(size=(len(whose), parts, 12))
    values = latent @ rng.normal(size=(12, channels)) + 0.05 * rng.normal(size=(len(whose), parts, channels))
    values = (rng.lognormal(0, 0.3, (len(whose), parts, 1)) * values).astype(np.float32)
    gallery, probe = np.flatnonzero(walk < 4), np.flatnonzero(walk >= 4)
    return values, Search(probe, gallery, whose, view[gallery], view[probe, None] == np.arange(3))


@pytest.mark.parametrize("spread", some([0.3, 1.5, 20.0], 1.5))
def test_projections_change_no_rank(spread: float) -> None:
    values, asked = world(30, spread)
    exact = distances_of(values)
    order = np.argsort(asked.people[asked.probe], kind="stable")  # of the one block of probes
    sizes = {"bounds": 0, "whole": 0}
    between, bound = blocks.between, projections.Projection.bound

    def counted(ours, rows, theirs, kind):
        distances_and_errors = between(ours, rows, theirs, kind)
        sizes["whole"] += distances_and_errors[0].size
        return distances_and_errors

    def checked(projection, probes, rows, columns):
        least, error = bound(projection, probes, rows, columns)
        sizes["bounds"] += least.size
        far = exact[asked.gallery[columns][:, None], asked.probe[order[rows]]]
        assert (least <= far + error).all()
        assert (error <= 0.1 * np.median(far)).all()
        return least, error

    with (
        mock.patch.object(blocks, "between", counted),
        mock.patch.object(projections, "SAMPLE", 40),
        mock.patch.object(ranking, "BLOCK_SHARE", 1.0),
        mock.patch.object(projections.Projection, "bound", checked),
    ):
        same_ranks(closer_wrong(values, asked), naive(values, asked, "euclidean"), asked)
    assert sizes["bounds"] > 0
    if spread == 0.3:
        assert sizes["whole"] < 0.3 * sizes["bounds"]


def distances_of(values: np.ndarray) -> np.ndarray:
    """Exact Euclidean distances between all signatures."""
    everyone = np.arange(len(values))
    return np.stack([distances.exact(values, row, everyone, "euclidean") for row in values], 1)


@pytest.mark.slow
def test_blocks_and_threads_change_no_answer() -> None:
    values, asked = world(25, 1.5)
    wanted = naive(values, asked, "euclidean")
    for first, largest, share, tile in ((1, 2, 0.01, 100), (3, 7, 0.03, 1000), (1000, 1000, 1.0, 1 << 22)):
        with (
            mock.patch.multiple(ranking, FIRST=first, CHUNK_ROWS=largest, BLOCK_SHARE=share),
            mock.patch.object(projections, "SAMPLE", 40),
            mock.patch.object(distances, "TILE", tile),
        ):
            same_ranks(closer_wrong(values, asked), wanted, asked)
            same_ranks(closer_wrong(values, asked, threads=3), wanted, asked)


@pytest.mark.slow
def test_the_search_takes_at_most_a_quarter_of_the_signatures_memory() -> None:
    for people, spread in ((75, 0.3), (150, 0.0), (150, 0.3), (150, 20.0)):
        values, asked = world(people, spread, parts=16, channels=256)
        tracemalloc.start()
        closer_wrong(values, asked)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 0.25 * values.nbytes, (people, spread, peak / values.nbytes)


def test_rounding_is_bounded() -> None:
    rng = np.random.default_rng(0)
    for spread in (1e-6, 1e-3, 1.0):
        for lengths, power in ((0.0, 0), (3.0, 0), (3.0, 30), (0.0, -43)):
            values = rng.normal(size=(1, 3, 200)) + spread * rng.normal(size=(40, 3, 200))
            values *= 10.0**power * np.exp(lengths * rng.normal(size=(40, 3, 1)))
            values = values.astype(np.float32)
            for kind in ("euclidean", "cosine"):
                scaled = distances.Scaled.of(values, kind)
                points = scaled.taken(np.arange(40))
                actual, error = distances.between(points, slice(None), points, kind)
                wanted = np.stack([distances.exact(values, row, np.arange(40), kind) for row in values], 1)
                if kind == "euclidean" and scaled.factors is not None:
                    wanted *= scaled.factors[0, 0]
                assert (np.abs(actual - wanted) <= error).all()
                assert (error <= 0.01 * np.median(wanted)).all() or spread < 1 or lengths or power
                if kind == "euclidean" and scaled.factors is None:
                    ones, others = np.nonzero(np.ones((40, 40)))
                    actual, error = distances.of_pairs(values, scaled.halves, ones, others)
                    assert (np.abs(actual - wanted.ravel()) <= error).all()
                    assert (error <= 0.01 * np.median(wanted)).all() or spread < 1 or lengths


@pytest.mark.parametrize("kind", ["euclidean", "cosine"])
@pytest.mark.parametrize("spread", [1.0, 1e-3, 1e-6])
def test_products_in_float64_are_within_their_bound_of_exact_distances(kind: str, spread: float) -> None:
    """Also where signatures are so near to each other that their distance is a small difference of large lengths."""
    rng = np.random.default_rng(7)
    values = (5 + spread * rng.standard_normal((24, 3, 200))).astype(np.float32)
    rows = np.arange(len(values))
    computed, error = distances.nearly_exact(values, rows, rows, kind)
    expected = np.stack([distances.exact(values, row, rows, kind) for row in values])
    assert (np.abs(computed - expected) <= error).all()
    assert error.max() <= 1e-4


def test_cosines_compare_parts_of_length_1_and_parts_of_length_0_stay_0() -> None:
    values = np.array([[[3, 4], [0, 0]], [[3e30, 4e30], [3e-30, 4e-30]], [[1, 0], [5e-39, 0]]], np.float32)
    for kept in (values, values[[0, 0]], values[[2, 2]]):
        rows = np.arange(len(kept))
        np.testing.assert_allclose(distances.Scaled.of(kept, "cosine").taken(rows).values, unit(kept), rtol=1e-6)
    wanted = [[[0.6, 0.8], [0, 0]], [[0.6, 0.8], [0.6, 0.8]], [[1, 0], [0, 0]]]
    np.testing.assert_allclose(unit(values), wanted, rtol=1e-6)


@pytest.mark.parametrize("kind", ["euclidean", "cosine"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_signatures_that_are_not_finite_are_refused(kind: str, wrong: float) -> None:
    values = np.ones((4, 2, 3), np.float32)
    values[2, 1, 0] = wrong
    with pytest.raises(DataError, match="not finite"):
        closer_wrong(values, search(np.random.default_rng(0), np.array([0, 0, 1, 1]), 1), kind)
    with pytest.raises(DataError, match="not finite"):
        neighbours.nearest(values, np.array([0]), np.array([1, 2]), 1, kind)


def test_the_nearest_are_those_of_a_stable_sort_even_with_equal_distances() -> None:
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=(40, 2, 5)), 3, 0).astype(np.float32)
    order = rng.permutation(120)
    probe, gallery = order[:30], order[30:]
    for kind in ("euclidean", "cosine"):
        places, far = neighbours.nearest(values, probe, gallery, 7, kind)
        for row, sample in enumerate(probe):
            wanted = distances.exact(values, values[sample], gallery, kind)
            np.testing.assert_array_equal(places[row], np.argsort(wanted, kind="stable")[:7])
            np.testing.assert_array_equal(far[row], np.sort(wanted)[:7])
    assert neighbours.nearest(values, probe, gallery[:2], 7)[0].shape == (30, 2)


def test_votes_are_won_by_number_then_by_distance_then_by_order() -> None:
    assert neighbours.vote(["a", "b", "b"], [0.1, 0.5, 0.6]) == "b"
    assert neighbours.vote(["a", "b", "b", "a"], [0.1, 0.2, 0.3, 0.5]) == "b"
    assert neighbours.vote(["b", "a"], [0.25, 0.25]) == "b"
    names = np.array([["a", "a", "b"], ["b", "b", "a"], ["c", "c", "c"]])
    far = np.array([[0.2, 0.3, 0.4], [0.1, 0.6, 0.7], [0.0, 0.0, 0.0]])
    assert neighbours.elected(names, far, np.array([4, 4, 9])) == {4: "b", 9: "c"}
