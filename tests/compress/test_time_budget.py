"""The widths that keep the most importance within a time, on small problems that can be solved by trying everything."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.errors import CompressionError
from compress.pruning.select import PruneSettings, select
from compress.pruning.time_budget import Problem, choices, fastest, problem_of, solve, widths_within
from compress.pruning.times import BLOCKS, COEFFICIENTS, PARTS, Layer, TimeModel

SEEDS = st.integers(0, 2**32 - 1)
GAP = 0.01  # of the importance that the best widths keep


def made_times(rng: np.random.Generator, groups: int) -> TimeModel:
    """Times of a network with a chain of layers, and some that join groups far apart."""
    filters = {f"g{number}": int(rng.integers(3, 7)) * 4 for number in range(groups)}
    names = list(filters)
    ends = [(None, names[0]), *pairwise(names), (names[-1], None)]
    if groups > 2:
        ends.append((names[0], names[-1]))
    layers = [Layer(f"layer{number}", reads, gives, 1000) for number, (reads, gives) in enumerate(ends)]
    weights = rng.exponential(1, (len(layers), COEFFICIENTS)) * (rng.random((len(layers), COEFFICIENTS)) < 0.5)
    return TimeModel(filters, layers, int(rng.choice(BLOCKS)), float(rng.random()), weights)


def made(seed: int, groups: int) -> tuple[TimeModel, dict[str, np.ndarray], Problem]:
    rng = np.random.default_rng(seed)
    times = made_times(rng, groups)
    importances = {name: rng.gamma(2, 0.5, filters) for name, filters in times.filters.items()}
    return times, importances, problem_of(times, importances, 4, 4)


def kept(importances: dict[str, np.ndarray], widths: dict[str, int]) -> float:
    return float(sum(np.sort(values)[::-1][: widths[name]].sum() for name, values in importances.items()))


@given(SEEDS, st.integers(1, 4), st.floats(0, 1))
@settings(deadline=None, max_examples=60)
def test_nothing_that_can_be_tried_keeps_much_more(seed: int, groups: int, share: float) -> None:
    times, importances, given_problem = made(seed, groups)
    every = [
        {name: int(width) for name, width in zip(importances, widths, strict=True)}
        for widths in product(*given_problem.widths)
    ]
    took = np.array([times.predict(widths) for widths in every])
    budget = took.min() + share * (took.max() - took.min()) + 1e-9
    narrowed = solve(given_problem, budget)
    assert times.predict(narrowed) <= budget + 1e-9
    best = max(kept(importances, widths) for widths, ms in zip(every, took, strict=True) if ms <= budget)
    assert kept(importances, narrowed) >= (1 - GAP) * best


@given(SEEDS, st.integers(1, 6), st.lists(st.floats(0, 1), min_size=2, max_size=6))
@settings(deadline=None, max_examples=25)
def test_more_time_never_keeps_less(seed: int, groups: int, shares: list[float]) -> None:
    _, importances, given_problem = made(seed, groups)
    least, full = given_problem.ms(fastest(given_problem)), given_problem.ms(tuple(len(w) - 1 for w in given_problem.widths))
    budgets = [least + share * (full - least) + 1e-9 for share in sorted(shares)]
    values = [kept(importances, solve(given_problem, budget)) for budget in budgets]
    assert all(later >= earlier - 1e-6 for earlier, later in pairwise(values))


def test_the_whole_time_leaves_the_network_whole() -> None:
    times, importances, given_problem = made(1, 4)
    assert solve(given_problem, times.predict(times.filters) + 1e-9) == times.filters
    assert widths_within(times, importances, 1.0, 1.0, 4, 4) == times.filters


def test_a_time_that_no_widths_reach_is_refused_with_what_can_be_reached() -> None:
    times, importances, given_problem = made(2, 3)
    full, least = times.predict(times.filters), given_problem.ms(fastest(given_problem))
    with pytest.raises(CompressionError, match=r"leave at least .* ms; ask for a percentile of at most (\S+)") as refused:
        widths_within(times, importances, 0.99 * least / full, full, 4, 4)
    most = float(str(refused.value).rsplit(" ", 1)[1])
    assert most <= 100 * (1 - least / full) < most + 0.1
    assert times.predict(widths_within(times, importances, 1 - most / 100, full, 4, 4)) <= (1 - most / 100) * full


def test_groups_without_importances_stay_whole() -> None:
    times, importances, _ = made(3, 4)
    spared = dict(list(importances.items())[1:])
    full = times.predict(times.filters)
    least = times.predict({**dict.fromkeys(times.filters, 4), "g0": times.filters["g0"]})
    share = (0.5 * least + 0.5 * full) / full
    narrowed = widths_within(times, spared, share, full, 4, 4)
    assert list(narrowed) == list(spared)
    assert times.predict({**times.filters, **narrowed}) <= share * full


def test_an_unimportant_layer_that_takes_long_goes_first() -> None:
    layers = [Layer("slow", None, "a", 1), Layer("fast", None, "b", 1)]
    weights = np.zeros((2, COEFFICIENTS))
    weights[:, -PARTS] = 10, 1  # of the width that a layer gives
    times = TimeModel({"a": 16, "b": 16}, layers, 8, 0.0, weights)
    importances = {"a": np.linspace(0.1, 0.2, 16), "b": np.linspace(1, 2, 16)}
    assert widths_within(times, importances, 0.5, 11.0, 4, 4) == {"a": 4, "b": 16}


@pytest.mark.parametrize(
    ("filters", "round_to", "keep_min", "allowed"),
    [
        (16, 4, 4, [4, 8, 12, 16]),
        (18, 4, 4, [4, 8, 12, 16, 18]),
        (16, 8, 4, [8, 16]),
        (16, 4, 6, [6, 8, 12, 16]),
        (3, 4, 4, [3]),
        (16, 32, 40, [16]),
    ],
)
def test_widths_are_those_that_a_percentile_may_leave(
    filters: int, round_to: int, keep_min: int, allowed: list[int]
) -> None:
    assert choices(filters, round_to, keep_min).tolist() == allowed
    kernels = {"conv": {"conv": np.random.default_rng(0).normal(size=(filters, 9))}}
    for percentile in range(0, 100, 5):
        how = PruneSettings(percentile, "l1", "layer", round_to, keep_min)
        assert len(select(kernels, how)["conv"].kept) in allowed


def test_each_layer_keeps_its_best_filters_up_to_its_width() -> None:
    rng = np.random.default_rng(0)
    kernels = {name: {name: rng.normal(size=(8, 9))} for name in ("first", "second", "spared")}
    seen: dict[str, np.ndarray] = {}

    def widths(importances: dict[str, np.ndarray]) -> dict[str, int]:
        seen.update(importances)
        return {"first": 3, "second": 8}

    how = PruneSettings(50, "l1", "layer", 4, 4, mode="latency", spare=["spared"], widths=widths)
    selections = select(kernels, how)
    assert list(seen) == ["first", "second"]
    assert [len(selections[name].kept) for name in kernels] == [3, 8, 8]
    assert [selections[name].spared for name in kernels] == [False, False, True]
    sums = np.abs(kernels["first"]["first"]).sum(1)
    assert set(selections["first"].kept) == set(np.argsort(-sums)[:3])
    assert selections["first"].threshold == seen["first"][selections["first"].kept].min()


def test_importances_are_of_what_was_measured_where_the_criterion_asks_for_it() -> None:
    rng = np.random.default_rng(0)
    kernels = {name: {name: rng.normal(size=(8, 9))} for name in ("first", "second")}
    effects = {name: {name: rng.normal(size=(20, 8))} for name in kernels}
    how = PruneSettings(
        50, "taylor", "layer", 4, 4, mode="latency", widths=lambda importances: dict.fromkeys(importances, 3)
    )
    assert how.measures == ("effects",)
    selections = select(kernels, how, {"effects": effects})
    for name, selection in selections.items():
        assert set(selection.kept) == set(np.argsort(-np.abs(effects[name][name]).mean(0))[:3])
