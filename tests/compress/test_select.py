"""Which filters stay, by percentile; kernels of one weight a filter make the criterion "l1" give that weight."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.errors import CompressionError
from compress.pruning import report
from compress.pruning.criteria import layer_scores
from compress.pruning.select import PruneSettings, Selection, importances, select

scores = st.lists(st.floats(0, 100), min_size=1, max_size=64).map(np.array)
layers = st.dictionaries(st.sampled_from("abcde"), scores, min_size=1)
percentiles = st.floats(0, 99.9)
scopes = st.sampled_from(["layer", "global"])
criteria = st.sampled_from(["l1", "l2", "mean-l1", "random"])
modes = st.sampled_from(["percentile", "published"])


def settings(percentile: float, **changes) -> PruneSettings:
    return replace(PruneSettings(percentile, "l1", "layer", 1, 1), **changes)


def kernels_of(by_layer: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Layers of one unit with these scores by "l1"."""
    return {name: {name: values[:, None]} for name, values in by_layer.items()}


def chosen(by_layer: dict[str, np.ndarray], how: PruneSettings) -> dict[str, Selection]:
    """The selection among layers of one unit with these scores."""
    return select(kernels_of(by_layer), how)


@given(layers, scopes, criteria, modes, st.integers(1, 16))
def test_percentile_0_removes_nothing(by_layer, scope: str, criterion: str, mode: str, round_to: int) -> None:
    how = settings(0, scope=scope, criterion=criterion, mode=mode, round_to=round_to)
    for name, selection in chosen(by_layer, how).items():
        np.testing.assert_array_equal(selection.kept, np.arange(len(by_layer[name])))


@given(layers, percentiles, scopes)
def test_without_rounding_what_goes_is_strictly_below_the_percentile(by_layer, percentile: float, scope: str) -> None:
    compared = by_layer if scope == "layer" else importances(kernels_of(by_layer), settings(percentile))
    everything = np.concatenate(list(compared.values()))
    for name, selection in chosen(by_layer, settings(percentile, scope=scope)).items():
        own = compared[name]
        threshold = np.percentile(own if scope == "layer" else everything, percentile)
        expected = np.flatnonzero(own >= threshold)
        assert selection.threshold == threshold
        if len(expected):
            np.testing.assert_array_equal(selection.kept, expected)
        else:
            assert selection.kept.tolist() == [own.argmax()]  # a layer never empties


@pytest.mark.parametrize("mode", ["percentile", "published"])
def test_a_filter_that_scores_the_threshold_itself_stays(mode: str) -> None:
    own = np.array([1.0, 5.0, 3.0, 3.0, 3.0, 4.0])
    selection = chosen({"a": own}, settings(40, mode=mode))["a"]
    assert selection.threshold == 3.0
    assert selection.kept.tolist() == [1, 2, 3, 4, 5]


@given(layers, percentiles, scopes, st.integers(1, 16), st.integers(1, 16))
def test_counts_are_rounded_and_bounded_and_the_best_stay(by_layer, percentile, scope, round_to, keep_min) -> None:
    how = settings(percentile, scope=scope, round_to=round_to, keep_min=keep_min)
    exact = chosen(by_layer, replace(how, round_to=1, keep_min=1))
    for name, selection in chosen(by_layer, how).items():
        kept, filters = len(selection.kept), selection.filters
        assert kept in (filters, keep_min) or kept % round_to == 0
        assert min(max(keep_min, round_to), filters) <= kept <= filters
        if keep_min < kept < filters:
            assert abs(kept - len(exact[name].kept)) <= max(round_to / 2, round_to - len(exact[name].kept))
        if len(exact[name].kept) == filters:
            assert kept == filters
        gone = np.delete(by_layer[name], selection.kept)
        assert not len(gone) or gone.max() <= by_layer[name][selection.kept].min()


@given(layers, percentiles, percentiles, scopes, criteria, st.integers(1, 16), st.integers(1, 16))
def test_a_higher_percentile_never_brings_a_filter_back(by_layer, one, other, scope, criterion, round_to, keep_min) -> None:
    how = settings(min(one, other), scope=scope, criterion=criterion, round_to=round_to, keep_min=keep_min)
    more, fewer = chosen(by_layer, how), chosen(by_layer, replace(how, percentile=max(one, other)))
    assert all(set(fewer[name].kept) <= set(more[name].kept) for name in by_layer)


@given(st.integers(1, 64), st.floats(0, 100), percentiles, scopes, modes, st.integers(1, 16))
def test_equal_scores_all_stay(filters: int, score: float, percentile, scope: str, mode: str, round_to: int) -> None:
    how = settings(percentile, scope=scope, mode=mode, round_to=round_to)
    by_layer = {"a": np.full(filters, score), "b": np.full(3, score)}
    assert all(len(selection.kept) == selection.filters for selection in chosen(by_layer, how).values())


def test_of_equal_scores_the_first_ones_stay_where_rounding_must_choose() -> None:
    own = np.array([1.0, 1.0, 1.0, 0.0, 2.0, 2.0])
    assert chosen({"a": own}, settings(80, round_to=4))["a"].kept.tolist() == [0, 1, 4, 5]


@given(layers, percentiles, scopes, criteria, modes, st.randoms())
def test_neither_the_order_of_layers_nor_a_second_run_changes_anything(by_layer, percentile, scope, criterion, mode, rng):
    how = settings(percentile, scope=scope, criterion=criterion, mode=mode, seed=3)
    shuffled = dict(rng.sample(sorted(by_layer.items(), key=lambda item: item[0]), len(by_layer)))
    first, second = chosen(by_layer, how), chosen(shuffled, how)
    assert list(first) == list(by_layer)
    for name in by_layer:
        np.testing.assert_array_equal(first[name].kept, second[name].kept)


@given(layers, percentiles, scopes, criteria, modes, st.sets(st.sampled_from("abcde")))
def test_spared_layers_stay_whole_and_the_others_are_pruned_as_if_alone(by_layer, percentile, scope, criterion, mode, spare):
    how = settings(percentile, scope=scope, criterion=criterion, mode=mode)
    selections = chosen(by_layer, replace(how, spare=sorted(spare)))
    others = {name: values for name, values in by_layer.items() if name not in spare}
    alone = chosen(others, how) if others else {}
    for name, selection in selections.items():
        assert selection.spared == (name in spare)
        if selection.spared:
            assert selection.threshold is None
            np.testing.assert_array_equal(selection.kept, np.arange(len(by_layer[name])))
        else:
            np.testing.assert_array_equal(selection.kept, alone[name].kept)
            assert selection.threshold == alone[name].threshold


@pytest.mark.parametrize(
    ("spare", "expected"),
    [
        (["frame1"], {"frame1"}),
        (["layers.0.*"], {"layers.0.whole"}),
        (["layers.?.local"], {"layers.0.whole", "layers.1.whole"}),  # a unit's name spares those tied to it
        (["frame[12]"], {"frame1", "frame2"}),
        (["Frame1", "frame", "ame1", "gone"], set()),
        (["*"], {"frame1", "frame2", "layers.0.whole", "layers.1.whole"}),
    ],
)
def test_layers_are_spared_by_the_names_or_patterns_of_their_units(spare: list[str], expected: set[str]) -> None:
    rng = np.random.default_rng(0)
    kernels = {
        units[0]: {unit: rng.normal(size=(8, 9)) for unit in units}
        for units in (["frame1"], ["frame2"], *([f"layers.{n}.whole", f"layers.{n}.local"] for n in (0, 1)))
    }
    selections = select(kernels, settings(50, spare=spare))
    assert {name for name, selection in selections.items() if selection.spared} == expected
    assert {name for name, selection in selections.items() if len(selection.kept) == 8} == expected


def test_filters_that_go_together_are_judged_by_the_mean_of_their_scores_and_once() -> None:
    one, two = np.array([[1.0], [4.0], [2.0], [9.0]]), np.array([[9.0], [1.0], [2.0], [9.0]])
    kernels = {"one": {"one": one, "two": two}, "other": {"other": np.array([[3.0], [6.0]])}}
    selections = select(kernels, settings(50, scope="global"))
    # Means 5, 2.5, 2, 9 and scores 3, 6, in units of their layers' root mean squares: the median is between 5 and 3.
    assert selections["one"].threshold == pytest.approx((5 / (116.25 / 4) ** 0.5 + 3 / (45 / 2) ** 0.5) / 2)
    assert selections["one"].kept.tolist() == [0, 3]
    assert selections["one"].units == ("one", "two")
    assert selections["other"].kept.tolist() == [1]


@given(st.lists(st.integers(1, 200), min_size=1, max_size=4), percentiles, st.integers(0, 5))
def test_chance_takes_the_percentile_of_every_layer_whatever_the_weights(sizes, percentile: float, seed: int) -> None:
    kernels = {f"conv{n}": {f"conv{n}": np.full((size, 3), 10.0**n)} for n, size in enumerate(sizes)}
    selections = select(kernels, settings(percentile, criterion="random", seed=seed))
    for name, selection in selections.items():
        own = layer_scores(name, kernels[name], "random", seed)
        np.testing.assert_array_equal(selection.kept, np.flatnonzero(own >= np.percentile(own, percentile)))


kernels_of_any_size = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(st.integers(1, 128), st.integers(1, 200), st.floats(1e-3, 1e3)), min_size=1
)


@given(kernels_of_any_size, percentiles, criteria, st.integers(1, 64), st.integers(1, 64), st.integers(0, 99))
def test_a_percentile_of_each_layer_collapses_none(sizes, percentile, criterion, round_to, keep_min, seed: int) -> None:
    rng = np.random.default_rng(seed)
    kernels = {name: {name: scale * rng.normal(size=(n, fan_in))} for name, (n, fan_in, scale) in sizes.items()}
    how = settings(percentile, criterion=criterion, round_to=round_to, keep_min=keep_min)
    assert report.collapsed(select(kernels, how), percentile) == []


def test_one_threshold_for_all_layers_collapses_the_smallest_kernels_only_in_the_studys_algorithm() -> None:
    rng = np.random.default_rng(0)
    kernels = {"first": {"first": rng.normal(size=(32, 25))}, "second": {"second": rng.normal(size=(32, 800))}}

    def selected(**changes) -> dict[str, Selection]:
        return select(kernels, settings(50, scope="global", **changes))

    assert len(selected(mode="published")["first"].kept) == 1
    assert report.collapsed(selected(mode="published"), 50) == ["first"]
    for criterion in ("l1", "l2", "mean-l1"):
        assert len(selected(criterion=criterion)["first"].kept) > 8
        assert report.collapsed(selected(criterion=criterion), 50) == []


@given(kernels_of_any_size, criteria, st.integers(0, 99))
def test_importances_have_mean_square_1_in_every_layer_and_keep_the_order_of_scores(
    sizes, criterion: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    kernels = {name: {name: scale * rng.normal(size=(n, fan_in))} for name, (n, fan_in, scale) in sizes.items()}
    for name, values in importances(kernels, settings(0, criterion=criterion)).items():
        scores = layer_scores(name, kernels[name], criterion, 0)
        assert np.square(values).mean() == pytest.approx(1)
        assert (np.diff(values[np.argsort(scores)]) >= 0).all()


@given(kernels_of_any_size, percentiles, criteria, st.floats(1e-3, 1e3))
def test_how_large_a_layers_weights_are_as_a_whole_does_not_count(sizes, percentile, criterion, factor: float) -> None:
    rng = np.random.default_rng(0)
    kernels = {name: {name: scale * rng.normal(size=(n, fan_in))} for name, (n, fan_in, scale) in sizes.items()}
    first = min(kernels)
    other = {**kernels, first: {first: factor * kernels[first][first]}}
    how = settings(percentile, criterion=criterion, scope="global")
    selections, again = select(kernels, how), select(other, how)
    # The filter whose score is the threshold may fall on either side by rounding.
    assert all(abs(len(selections[name].kept) - len(again[name].kept)) <= 1 for name in kernels)


def test_a_layer_of_no_importance_goes_first_and_down_to_what_is_kept() -> None:
    by_layer = {"dead": np.zeros(8), "alive": np.arange(1.0, 9)}
    selections = chosen(by_layer, settings(50, scope="global", keep_min=2))
    assert len(selections["dead"].kept) == 2
    assert len(selections["alive"].kept) == 8


def test_nothing_to_prune_and_broken_weights_are_errors() -> None:
    with pytest.raises(CompressionError, match="no prunable layer"):
        select({}, settings(10))
    for spare in ([], ["conv1"]):
        with pytest.raises(CompressionError, match="layer conv1: its weights are not finite"):
            chosen({"conv1": np.array([1.0, np.nan])}, settings(10, spare=spare))
