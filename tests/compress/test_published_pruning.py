"""The study's own algorithm: its counts of removed filters, its flaw, and what it does where it does not tell."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress.pruning import report, torch_surgery
from compress.pruning.select import PruneSettings, Selection, select
from tests.support.published import SMALLER, small

CNN2D = {"conv1": 96, "conv2": 192, "conv3": 512, "conv4": 512}
CNN3D = {"conv1": 64, "conv2": 128, "conv3": 256, "conv4": 512, "conv5": 512, "conv6": 512}
# Bounds of a layer's scores, such as published counts imply of the trained networks: which layers lie below a threshold as a
# whole. In the 2D-CNN that is one at 80 % and none at 30 %; in the 3D-CNN one at 10 to 30 %, a second one from 40 %.
SCORES = {"2d": (CNN2D, {"conv1": (1, 1.7)}), "3d": (CNN3D, {"conv1": (0, 1), "conv2": (1, 1.3)})}
REMOVED = {
    "2d": {10: 132, 20: 263, 30: 394, 80: 1_048},
    "3d": {10: 198, 20: 396, 30: 594, 40: 792, 50: 990},
}
COUNTS = [(network, percentile, count) for network, counts in REMOVED.items() for percentile, count in counts.items()]


def published(percentile: float) -> PruneSettings:
    """With settings that would make themselves felt if they were used."""
    return PruneSettings(percentile, "random", "layer", 16, 16, "published")


def removed(selections: dict[str, Selection]) -> int:
    """Filters that went, those of tied units counted in each."""
    return sum((selection.filters - len(selection.kept)) * len(selection.units) for selection in selections.values())


def like_trained(network: str) -> dict[str, dict[str, np.ndarray]]:
    """Kernels whose plain sums lie within the bounds, those of most layers between 1 and 2."""
    sizes, bounds = SCORES[network]
    rng = np.random.default_rng(0)
    return {name: {name: rng.uniform(*bounds.get(name, (1, 2)), (size, 1))} for name, size in sizes.items()}


@pytest.mark.parametrize(("network", "percentile", "count"), COUNTS)
def test_as_many_filters_go_as_in_the_study(network: str, percentile: int, count: int) -> None:
    kernels = like_trained(network)
    assert sum(SCORES[network][0].values()) == {"2d": 1_312, "3d": 1_984}[network]
    assert removed(select(kernels, published(percentile))) == count


@given(
    st.dictionaries(st.sampled_from("abcde"), st.lists(st.floats(-9, 9), min_size=1, max_size=40), min_size=1),
    st.floats(0, 99.9),
)
def test_what_goes_is_all_below_one_threshold_less_the_first_filter_of_a_layer_wholly_below(by_layer, percentile) -> None:
    kernels = {name: {name: np.array(values)[:, None]} for name, values in by_layer.items()}
    threshold = np.percentile(np.abs(np.concatenate(list(by_layer.values()))), percentile)
    selections = select(kernels, published(percentile))
    below = {name: np.abs(values) < threshold for name, values in by_layer.items()}
    assert removed(selections) == sum(mask.sum() - mask.all() for mask in below.values())
    for name, selection in selections.items():
        assert selection.kept.tolist() == ([0] if below[name].all() else np.flatnonzero(~below[name]).tolist())


def one_at_a_time(kernels: dict[str, np.ndarray], percentile: float) -> dict[str, list[int]]:
    """The study's algorithm as its text has it: each filter is looked at once, from the last of a layer to the first."""
    sums = {name: [np.abs(kernel).sum() for kernel in layer] for name, layer in kernels.items()}
    threshold = np.percentile(np.sort([score for scores in sums.values() for score in scores]), percentile)
    left = {name: list(range(len(layer))) for name, layer in kernels.items()}
    for name, scores in sums.items():
        for place in reversed(range(len(scores))):
            if scores[place] < threshold and len(left[name]) > 1:
                left[name].remove(place)
    return left


@pytest.mark.parametrize("percentile", [0, 10, 35, 50, 80, 99])
def test_the_same_filters_stay_as_when_they_are_removed_one_at_a_time(percentile: int) -> None:
    rng = np.random.default_rng(percentile)
    kernels = {f"conv{fan_in}": rng.normal(size=(24, fan_in, 3, 3)) for fan_in in (1, 8, 12, 40)}
    selections = select({name: {name: kernel} for name, kernel in kernels.items()}, published(percentile))
    assert {name: selection.kept.tolist() for name, selection in selections.items()} == one_at_a_time(kernels, percentile)


def test_gaitset_loses_83_of_832_filters_at_10_percent_and_its_first_layer_collapses() -> None:
    model = small(SMALLER["gaitset"], 1)
    _, selections = torch_surgery.prune(model, published(10))
    assert sum(selection.filters * len(selection.units) for selection in selections.values()) == 832
    assert removed(selections) == 83
    assert len(selections["frame1"].kept) == 1
    assert report.collapsed(selections, 10) == ["frame1"]
    # Fresh weights: no tied layer reaches below the threshold.
    assert all(len(selection.kept) == selection.filters for selection in selections.values() if len(selection.units) > 1)


def test_the_threshold_counts_every_unit_and_tied_filters_go_when_their_mean_is_below_it() -> None:
    one, two = np.array([[1.0], [2.0], [8.0], [9.0]]), np.array([[2.0], [9.0], [3.0], [9.0]])
    selections = select({"one": {"one": one, "two": two}, "three": {"three": np.array([[4.0], [5.0]])}}, published(45))
    # All ten sums are 1 2 2 3 4 5 8 9 9 9; place 4.05 among them is 4.05.
    assert selections["one"].threshold == pytest.approx(4.05)
    # Means 1.5, 5.5, 5.5, 9: of the first pair both halves are below, of the next two one, so that the study, which
    # looks at each unit by itself, counts two filters more here.
    assert selections["one"].kept.tolist() == [1, 2, 3]
    assert selections["three"].kept.tolist() == [1]
    assert removed(selections) == 3
    apart = {name: {name: kernel} for name, kernel in (("one", one), ("two", two), ("three", np.array([[4.0], [5.0]])))}
    assert removed(select(apart, published(45))) == 5


def test_a_higher_percentile_brings_no_filter_back_but_the_one_that_is_left() -> None:
    kernels = like_trained("3d")
    previous = select(kernels, published(0))
    for percentile in (10, 30, 60, 90, 99):
        current = select(kernels, published(percentile))
        assert all(set(current[name].kept) <= {0, *previous[name].kept} for name in kernels)
        previous = current


def test_spared_layers_are_spared_here_too() -> None:
    selections = select(like_trained("3d"), PruneSettings(10, "l1", "layer", 1, 1, "published", ["conv1"]))
    assert selections["conv1"].spared
    assert len(selections["conv1"].kept) == 64
    assert removed(selections) == 192  # of 1,920
