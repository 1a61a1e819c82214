"""What a filter is worth, by each criterion."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.errors import CompressionError
from compress.pruning import criteria
from compress.pruning.criteria import layer_scores

KERNELS = np.array([[[1.0, -2.0]], [[0.0, 4.0]]])


def filter_scores(kernels: np.ndarray, criterion: str) -> np.ndarray:
    """Of one convolution alone."""
    return layer_scores("conv1", {"conv1": kernels}, criterion, 0)


def random_scores(layer: str, filters: int, seed: int) -> np.ndarray:
    return layer_scores(layer, {layer: np.zeros((filters, 1))}, "random", seed)


@pytest.mark.parametrize(("criterion", "expected"), [("l1", [3, 4]), ("l2", [5**0.5, 4]), ("mean-l1", [1.5, 2])], ids=str)
def test_scores_are_norms_or_means_of_a_filters_weights(criterion: str, expected: list[float]) -> None:
    assert filter_scores(KERNELS, criterion).tolist() == expected


def test_scores_are_summed_in_float64() -> None:
    assert filter_scores(np.full((1, 3, 10**6), 0.1, np.float32), "l1")[0] == pytest.approx(
        3e5 * float(np.float32(0.1) / 0.1)
    )


@pytest.mark.parametrize("criterion", ["l1", "l2"])
def test_norms_grow_with_the_number_of_weights_and_the_mean_does_not(criterion: str) -> None:
    few, many = np.ones((1, 25)), np.ones((1, 2500))
    assert filter_scores(many, criterion) >= 10 * filter_scores(few, criterion)
    assert filter_scores(many, "mean-l1") == filter_scores(few, "mean-l1")


def test_fpgm_takes_the_filters_that_others_resemble_whatever_their_size() -> None:
    rng = np.random.default_rng(0)
    alike, apart = 5 + 0.1 * rng.normal(size=(6, 3, 2, 2)), rng.normal(size=(3, 3, 2, 2))
    kernels = np.concatenate([alike, apart]).astype(np.float32)
    scores = filter_scores(kernels, "fpgm")
    flat = kernels.reshape(9, -1)
    assert scores == pytest.approx([np.mean([np.linalg.norm(a - b) for b in flat]) * 9 / 8 for a in flat], rel=1e-5)
    assert set(np.argsort(scores)[:6]) == set(range(6))
    assert filter_scores(kernels[:1], "fpgm").tolist() == [0]
    assert filter_scores(np.ones((2, 4)), "fpgm").tolist() == [0, 0]


def test_an_unknown_criterion_is_reported() -> None:
    with pytest.raises(CompressionError) as caught:
        filter_scores(KERNELS, "l3")
    assert str(caught.value) == (
        "criterion l3: compress/pruning/criteria has no l3.py; there are: batch-norm, fpgm, l1, l2, mean-l1, random, "
        "reconstruction-error, taylor"
    )


@pytest.mark.parametrize("scores", [[1.0], [[1.0, 2.0]], [1.0, np.nan], [-np.inf, 1.0], 1.0], ids=str)
def test_scores_that_are_not_one_finite_number_a_filter_are_reported(
    monkeypatch: pytest.MonkeyPatch, scores: object
) -> None:
    module = SimpleNamespace(scores=lambda weights: np.array(scores))
    monkeypatch.setitem(sys.modules, f"{criteria.__name__}.l1", module)
    with pytest.raises(CompressionError, match="criterion l1: must give 2 finite scores for layer conv1, one a filter"):
        filter_scores(KERNELS, "l1")


def test_a_criterion_says_by_its_arguments_what_it_needs() -> None:
    needed = {name: criteria.needs(name) for name in ("mean-l1", "random", "batch-norm", "taylor", "reconstruction-error")}
    assert needed == {
        "mean-l1": ("weights",), "random": ("weights", "seed"), "batch-norm": ("scales",), "taylor": ("effects",),
        "reconstruction-error": ("outputs", "readers"),
    }  # fmt: skip
    assert [name for name in (*needed, "l1", "l2", "fpgm") if criteria.needs_data(name)] == [
        "taylor", "reconstruction-error",
    ]  # fmt: skip


def test_an_argument_that_nothing_provides_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, f"{criteria.__name__}.l1", SimpleNamespace(scores=lambda weights, frames: weights))
    with pytest.raises(CompressionError) as caught:
        filter_scores(KERNELS, "l1")
    assert (
        str(caught.value)
        == "criterion l1: scores takes frames; it may take weights, scales, effects, outputs, readers, seed"
    )


def test_what_was_measured_reaches_the_criteria_that_ask_for_it() -> None:
    effects = {"conv1": {"conv1": np.array([[1.0, -5.0], [-3.0, 1.0]]), "other": np.array([[0.0, 0.0], [2.0, 2.0]])}}
    scales = {"conv1": {"conv1": np.array([-2.0, 0.5]), "other": np.array([4.0, 1.5])}}
    units, measured = {"conv1": KERNELS, "other": KERNELS}, {"effects": effects, "scales": scales}
    assert layer_scores("conv1", units, "taylor", 0, measured).tolist() == [(2 + 1) / 2, (3 + 1) / 2]
    assert layer_scores("conv1", units, "batch-norm", 0, measured).tolist() == [3, 1]
    assert layer_scores("conv1", units, "l1", 0, measured).tolist() == layer_scores("conv1", units, "l1", 0).tolist()


def error_without(outputs: np.ndarray, weights: np.ndarray, gone: set[int]) -> float:
    """The least squared error without some filters of what weights [filters, read] make of outputs [rows, filters]."""
    stay = [filter for filter in range(len(weights)) if filter not in gone]
    wanted = outputs @ weights
    solved = np.linalg.lstsq(outputs[:, stay], wanted, rcond=None)[0]
    return float(np.square(wanted - outputs[:, stay] @ solved).sum())


def scores_of(outputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    measured = {"outputs": {"one": {"one": outputs.T @ outputs}}, "readers": {"one": {"one": weights @ weights.T}}}
    kernels = {"one": np.ones((len(weights), 1))}
    return layer_scores("one", kernels, "reconstruction-error", 0, measured)


@given(st.integers(2, 6), st.integers(0, 99))
def test_the_filter_whose_loss_the_others_make_up_for_best_goes_first_and_so_on(filters: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    outputs = rng.normal(size=(300, filters)) @ rng.normal(size=(filters, filters))
    weights = rng.normal(size=(filters, 3))
    scores = scores_of(outputs, weights)
    whole = np.square(outputs @ weights).sum()
    gone: set[int] = set()
    before = greatest = 0.0
    for filter in np.argsort(scores)[:-1]:
        errors = {other: error_without(outputs, weights, {*gone, other}) for other in set(range(filters)) - gone}
        assert errors[filter] <= min(errors.values()) + 1e-3 * whole
        greatest = max(greatest, errors[filter] - before)
        assert scores[filter] == pytest.approx(greatest / whole, rel=0.01, abs=1e-3)
        before = errors[filter]
        gone.add(filter)


def test_of_filters_that_say_the_same_all_but_one_go_first() -> None:
    rng = np.random.default_rng(0)
    apart = rng.normal(size=(500, 3))
    outputs = np.concatenate([apart, apart[:, :1], 2 * apart[:, :1]], axis=1)
    scores = scores_of(outputs, np.eye(5))
    first, second, *others = np.argsort(scores)
    assert {first, second} < {0, 3, 4}
    assert scores[[first, second]].max() < 1e-3 * scores[others].min()


def test_a_filter_that_nothing_reads_and_one_that_gives_nothing_cost_nothing() -> None:
    rng = np.random.default_rng(0)
    outputs, weights = rng.normal(size=(500, 4)) * [1, 0, 1, 1], rng.normal(size=(4, 3))
    weights[2] = 0
    scores = scores_of(outputs, weights)
    assert set(np.argsort(scores)[:2]) == {1, 2}
    assert scores[[1, 2]].max() < 1e-3 * scores[[0, 3]].min()
    assert np.isfinite(scores_of(np.zeros((5, 3)), np.eye(3))).all()


def test_units_that_lose_filters_together_have_the_mean_of_their_scores() -> None:
    units = {"one": KERNELS, "two": 3 * KERNELS}
    assert layer_scores("one", units, "l1", 0).tolist() == [6, 8]


def test_chance_is_the_same_on_every_machine() -> None:
    """These numbers depend on the layer's name, the filter's position and the seed alone."""
    assert random_scores("conv1", 3, 1).tolist() == [0.5521501559759829, 0.8321152754926477, 0.4867993494741053]
    assert random_scores("conv1", 2, 1).tolist() == random_scores("conv1", 3, 1)[:2].tolist()
    assert random_scores("conv2", 3, 1).tolist() != random_scores("conv1", 3, 1).tolist()
    assert random_scores("conv1", 3, 2).tolist() != random_scores("conv1", 3, 1).tolist()


def test_chance_is_uniform_and_drawn_once_for_units_that_lose_filters_together() -> None:
    kernels = np.zeros((20_000, 1))
    for units in ({"conv1": kernels}, {"conv1": kernels, "conv2": kernels}):
        scores = layer_scores("conv1", units, "random", 1)
        assert np.histogram(scores, 10, (0, 1))[0] == pytest.approx(np.full(10, 2000), rel=0.1)
        assert np.array_equal(scores, random_scores("conv1", 20_000, 1))
