"""The search by PyTorch on a device: ranks are those of a stable sort of float64 distances."""

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gait.errors import DataError
from gait.evaluation import device_ranking, ranking, search
from gait.evaluation.ranking import NOBODY
from tests.gait.test_ranking import naive, same_ranks, unit, world
from tests.gait.test_ranking import search as searched

CPU = torch.device("cpu")


@settings(max_examples=80)
@given(
    seed=st.integers(0, 2**32 - 1),
    samples=st.integers(2, 90),
    people=st.integers(1, 8),
    groups=st.integers(1, 3),
    shape=st.sampled_from([(1, 1), (1, 3), (3, 2), (4, 17), (2, 128)]),
    spread=st.sampled_from([0.0, 1e-4, 0.3, 2.0]),
    ties=st.sampled_from([0.0, 0.3, 1.0]),
    zeros=st.sampled_from([0.0, 0.2]),
    scaled=st.booleans(),
)
def test_ranks_are_those_of_a_stable_sort(seed, samples, people, groups, shape, spread, ties, zeros, scaled) -> None:
    rng = np.random.default_rng(seed)
    whose = rng.integers(0, people, samples)
    values = rng.normal(size=(people, *shape))[whose] + spread * rng.normal(size=(samples, *shape))
    again = np.flatnonzero(rng.random(samples) < ties)
    values[again] = values[rng.choice(again, len(again))] if len(again) else values[again]
    values[rng.random((samples, shape[0])) < zeros] = 0
    asked = searched(rng, whose, groups)
    if len(asked.gallery) < groups or not len(asked.probe):
        return
    # Of length 1, or of many lengths, some of which float32 cannot square.
    values = unit(values).astype(np.float32) if scaled else (values * 10.0 ** rng.integers(-26, 26)).astype(np.float32)
    same_ranks(device_ranking.closer_wrong(values, asked, CPU), naive(values, asked, "euclidean"), asked)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_signatures_that_are_not_finite_are_refused(wrong: float) -> None:
    values, asked = world(5, 1.5)
    values[3, 1, 2] = wrong
    with pytest.raises(DataError, match="not finite"):
        device_ranking.closer_wrong(values, asked, CPU)


def test_a_group_without_sequences_has_no_counts() -> None:
    values, asked = world(5, 1.5)
    asked = replace(asked, groups=np.where(asked.groups == 1, 2, asked.groups))
    counts = device_ranking.closer_wrong(values, asked, CPU)
    assert (counts[:, 1] == NOBODY).all()
    same_ranks(counts, naive(values, asked, "euclidean"), asked)


@pytest.mark.parametrize("spread", [0.3, 1.5, 20.0])
def test_blocks_and_tiles_change_no_answer(spread: float) -> None:
    values, asked = world(25, spread)
    wanted = naive(values, asked, "euclidean")
    for probes, tile in ((7, 200), (64, 3000), (1000, 1 << 24)):
        with mock.patch.multiple(device_ranking, PROBES=probes, LARGEST_TILE=tile):
            same_ranks(device_ranking.closer_wrong(values, asked, CPU), wanted, asked)


def test_few_distances_are_computed_twice() -> None:
    """Without ties float32 decides nearly all, else the search would be no faster than in float64."""
    values, asked = world(25, 1.5)
    with mock.patch.object(device_ranking, "exact", side_effect=device_ranking.exact) as exact:
        device_ranking.closer_wrong(values, asked, CPU)
    assert exact.call_count < 0.01 * asked.excluded.size


def test_products_are_always_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = []
    points = device_ranking._points

    def watched(*given):
        allowed.append(torch.backends.cuda.matmul.allow_tf32)
        return points(*given)

    monkeypatch.setattr(device_ranking, "_points", watched)
    values, asked = world(5, 1.5)
    before, torch.backends.cuda.matmul.allow_tf32 = torch.backends.cuda.matmul.allow_tf32, True
    try:
        device_ranking.closer_wrong(values, asked, CPU)
        assert allowed
        assert not any(allowed)
        assert torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def test_the_gpu_searches_if_there_is_one_else_the_processor() -> None:
    values, asked = world(5, 1.5)
    with (
        mock.patch.object(device_ranking, "closer_wrong", return_value="by the GPU") as by_gpu,
        mock.patch.object(ranking, "closer_wrong", return_value="by the processor"),
    ):
        for there, kind, wanted in (
            (True, "euclidean", "by the GPU"), (True, "cosine", "by the processor"), (False, "euclidean", "by the processor")
        ):  # fmt: skip
            with mock.patch.object(torch.cuda, "is_available", return_value=there):
                assert search.closer_wrong(values, asked, kind) == wanted
    assert by_gpu.call_args == mock.call(values, asked, torch.device("cuda"))
