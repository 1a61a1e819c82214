import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.errors import CompressionError
from compress.pruning.select import PruneSettings, filter_scores, select

scores = st.lists(st.floats(0, 100), min_size=1, max_size=64).map(np.array)
layers = st.dictionaries(st.sampled_from("abcde"), scores, min_size=1)


def settings(percentile: float, **changes) -> PruneSettings:
    return PruneSettings(
        **{"percentile": percentile, "criterion": "l1", "scope": "layer", "round_to": 1, "keep_min": 1} | changes
    )


@given(layers, st.sampled_from(["layer", "global"]), st.integers(1, 8))
def test_percentile_0_removes_nothing(by_layer, scope: str, round_to: int) -> None:
    for chosen in select(by_layer, settings(0, scope=scope, round_to=round_to)).values():
        assert len(chosen.kept) == chosen.filters


@given(layers, st.floats(0, 99.9), st.sampled_from(["layer", "global"]))
def test_without_rounding_what_goes_is_strictly_below_the_percentile(by_layer, percentile: float, scope: str) -> None:
    everything = np.concatenate(list(by_layer.values()))
    for name, chosen in select(by_layer, settings(percentile, scope=scope)).items():
        own = by_layer[name]
        threshold = np.percentile(own if scope == "layer" else everything, percentile)
        expected = np.flatnonzero(own >= threshold)
        if len(expected):
            np.testing.assert_array_equal(chosen.kept, expected)
        else:
            assert len(chosen.kept) == 1  # a layer never empties


@given(layers, st.floats(0, 99.9), st.integers(1, 16), st.integers(1, 16))
def test_counts_are_rounded_and_bounded_and_the_best_stay(by_layer, percentile, round_to: int, keep_min: int) -> None:
    for name, chosen in select(by_layer, settings(percentile, round_to=round_to, keep_min=keep_min)).items():
        kept = len(chosen.kept)
        assert kept in (len(by_layer[name]), keep_min) or kept % round_to == 0
        assert min(keep_min, chosen.filters) <= kept <= chosen.filters
        gone = np.delete(by_layer[name], chosen.kept)
        assert not len(gone) or gone.max() <= by_layer[name][chosen.kept].min()


@given(layers, st.sampled_from(["layer", "global"]))
def test_a_higher_percentile_never_brings_a_filter_back(by_layer, scope: str) -> None:
    previous = select(by_layer, settings(10, scope=scope))
    for percentile in (30, 60, 90):
        current = select(by_layer, settings(percentile, scope=scope))
        for name in by_layer:
            assert set(current[name].kept) <= set(previous[name].kept)
        previous = current


def test_scores_are_sums_or_means_of_absolute_weights() -> None:
    kernels = np.array([[[1.0, -2.0]], [[0.0, 4.0]]])
    assert filter_scores(kernels, "l1").tolist() == [3, 4]
    assert filter_scores(kernels, "mean-l1").tolist() == [1.5, 2]


def test_plain_l1_over_all_layers_empties_the_layer_with_the_smallest_fan_in_and_mean_l1_does_not() -> None:
    rng = np.random.default_rng(0)
    kernels = {"first": rng.normal(size=(32, 25)), "second": rng.normal(size=(32, 800))}

    def kept(criterion: str) -> int:
        by_layer = {name: filter_scores(kernel, criterion) for name, kernel in kernels.items()}
        return len(select(by_layer, settings(50, scope="global", criterion=criterion))["first"].kept)

    assert kept("l1") == 1
    assert kept("mean-l1") > 8


def test_nothing_to_prune_and_broken_weights_are_errors() -> None:
    with pytest.raises(CompressionError, match="no prunable layer"):
        select({}, settings(10))
    with pytest.raises(CompressionError, match="conv1"):
        select({"conv1": np.array([1.0, np.nan])}, settings(10))
