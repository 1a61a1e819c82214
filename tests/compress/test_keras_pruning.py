"""Pruning the Keras models: the study's counts on networks of its size, and that what is cut is what was masked."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from compress.pruning import report
from compress.pruning.select import PruneSettings
from tests.compress.test_published_pruning import COUNTS, SCORES, published, removed
from tests.support.families import some

keras_surgery = pytest.importorskip("compress.pruning.keras_surgery", reason="needs TensorFlow")
keras_reconstruction = pytest.importorskip("compress.pruning.keras_reconstruction", reason="needs TensorFlow")
import keras  # noqa: E402

from gait.models import cnn2d, cnn2plus1d, cnn3d  # noqa: E402

FLAT = {"filters": [96, 192, 512, 512], "dense": 2048, "signature": 1024, "dropout": 0.4}
SOLID = {"filters": [64, 128, 256, 512, 512, 512], "code": 1024, "signature": 1024}
MODULES = {"cnn2d": (cnn2d, FLAT), "cnn3d": (cnn3d, SOLID), "cnn2plus1d": (cnn2plus1d, SOLID)}
SETTINGS = PruneSettings(30, "mean-l1", "layer", 4, 4)
SHAPE = (1, 50, 60, 60)


def built(name: str, width: float) -> Any:
    keras.utils.set_random_seed(0)
    module, settings = MODULES[name]
    return module.build(settings, width, 5)


@pytest.fixture(scope="module", params=some(MODULES, "cnn2d"))
def dense(request: pytest.FixtureRequest) -> Any:
    """An eighth of the published width, with biases that are not zero, so that losing one shows."""
    model = built(request.param, 0.125)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        layer.set_weights([array + 0.05 * rng.normal(size=array.shape) for array in layer.get_weights()])
    return model


@pytest.fixture(scope="module", params=["2d", "3d"])
def like_trained(request: pytest.FixtureRequest) -> tuple[str, Any]:
    """A network of the published size whose filters have sums such as the trained ones must have had."""
    model = built(f"cnn{request.param}", 1)
    sizes, bounds = SCORES[request.param]
    rng = np.random.default_rng(0)
    for name in sizes:
        kernel, bias = model.get_layer(name).get_weights()
        sums = np.abs(kernel).sum(tuple(range(kernel.ndim - 1)))
        model.get_layer(name).set_weights([kernel * rng.uniform(*bounds.get(name, (1, 2)), len(bias)) / sums, bias])
    return request.param, model


def test_layers_that_read_removed_filters_are_solved_anew_and_none_is_worse(dense: Any) -> None:
    pruned, selections = keras_surgery.prune(dense, replace(SETTINGS, percentile=60))
    batches = [np.random.default_rng(seed).normal(size=(4, *SHAPE[1:])).astype(np.float32) for seed in range(4)]

    def error() -> float:
        expected, actual = (
            keras.Model(model.input, model.layers[-1].input)(batches[3]).numpy() for model in (dense, pruned)
        )
        return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))

    before = error()
    errors = keras_reconstruction.reconstruct(dense, pruned, selections, batches[:3], seed=0)
    assert set(errors) == {group.reader for group in keras_surgery.channels(dense)}
    assert all(of_layer["after"] < of_layer["before"] for of_layer in errors.values())
    assert error() < before  # on samples that it did not see


def test_a_layer_whose_lost_filters_were_copies_gives_what_it_gave(dense: Any) -> None:
    first = keras_surgery.channels(dense)[0]
    copied = keras.models.clone_model(dense)
    copied.set_weights(dense.get_weights())
    layer = copied.get_layer(first.conv)
    weights = layer.get_weights()
    half = layer.filters // 2
    for array in weights:
        array[..., half:] = 0.5 * array[..., :half]  # rectified, twice as small
    layer.set_weights(weights)
    spare = [group.conv for group in keras_surgery.channels(copied)[1:]]
    pruned, selections = keras_surgery.prune(copied, replace(SETTINGS, percentile=50, round_to=1, spare=spare))
    assert len(selections[first.conv].kept) == half
    batches = [np.random.default_rng(seed).normal(size=(4, *SHAPE[1:])).astype(np.float32) for seed in range(2)]
    errors = keras_reconstruction.reconstruct(copied, pruned, selections, batches, seed=0)
    assert errors[first.reader]["before"] > 0.05
    assert errors[first.reader]["after"] < 0.01


def test_as_many_filters_go_as_in_the_study(like_trained: tuple[str, Any]) -> None:
    network, model = like_trained
    filters = sum(SCORES[network][0].values())
    for percentile, count in [(percentile, count) for other, percentile, count in COUNTS if other == network]:
        pruned, selections = keras_surgery.prune(model, published(percentile))
        assert removed(selections) == count
        assert sum(pruned.get_layer(name).filters for name in selections) == filters - count
        assert pruned.get_layer("code_1").units == 1024


def test_fresh_3d_cnns_collapse_as_published_and_not_by_plain_l1_over_all_layers_or_by_default() -> None:
    model = built("cnn3d", 1)
    _, as_published = keras_surgery.prune(model, published(10))
    _, overall = keras_surgery.prune(model, replace(SETTINGS, percentile=10, scope="global", criterion="l1", round_to=1))
    _, default = keras_surgery.prune(model, replace(SETTINGS, percentile=10))
    assert removed(as_published) == 198
    assert len(as_published["conv1"].kept) == 1
    assert report.collapsed(as_published, 10) == ["conv1"]
    assert report.collapsed(overall, 10) == report.collapsed(default, 10) == []


@pytest.mark.parametrize(
    ("percentile", "how"),
    some(
        [
            (30, SETTINGS),
            (30, replace(SETTINGS, criterion="l2", spare=["conv[23]*"])),
            (90, replace(SETTINGS, scope="global", criterion="l1", round_to=1, keep_min=1)),
            (90, replace(SETTINGS, mode="published")),
        ],
        (30, SETTINGS),
        (90, replace(SETTINGS, scope="global", criterion="l1", round_to=1, keep_min=1)),
    ),
    ids=lambda value: f"{value.mode}-{value.scope}-{value.criterion}" if isinstance(value, PruneSettings) else None,
)
def test_the_pruned_network_equals_the_masked_one(dense: Any, percentile: float, how: PruneSettings) -> None:
    pruned, selections = keras_surgery.prune(dense, replace(how, percentile=percentile))
    assert keras_surgery.proof_error(dense, pruned, selections, SHAPE) < 1e-13
    for name, selection in selections.items():
        assert pruned.get_layer(name).filters == len(selection.kept)
        assert selection.spared == (bool(how.spare) and name[:5] in ("conv2", "conv3"))
        assert not selection.spared or len(selection.kept) == selection.filters


@pytest.mark.parametrize("mode", ["percentile", "published"])
def test_percentile_0_gives_the_identical_network(dense: Any, mode: str) -> None:
    pruned, selections = keras_surgery.prune(dense, replace(SETTINGS, percentile=0, mode=mode))
    assert [layer.name for layer in pruned.layers] == [layer.name for layer in dense.layers]
    for ours, theirs in zip(pruned.layers, dense.layers, strict=True):
        for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    assert keras_surgery.proof_error(dense, pruned, selections, SHAPE) == 0


def test_the_proof_finds_a_wrong_cut_of_any_layer(dense: Any) -> None:
    pruned, selections = keras_surgery.prune(dense, SETTINGS)
    for name, chosen in selections.items():
        others = np.arange(len(chosen.kept))
        assert not np.array_equal(others, chosen.kept)
        wrong = {**selections, name: replace(chosen, kept=others)}
        assert keras_surgery.proof_error(dense, pruned, wrong, SHAPE) > 1e-6, name


def test_the_proof_finds_what_was_not_followed(dense: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a reader had its inputs in another order."""
    take = np.take
    monkeypatch.setattr(
        keras_surgery.np, "take", lambda array, places, axis: take(array, places[::-1] if axis == -2 else places, axis)
    )
    pruned, selections = keras_surgery.prune(dense, SETTINGS)
    monkeypatch.undo()
    assert keras_surgery.proof_error(dense, pruned, selections, SHAPE) > 1e-3


def test_the_proof_sees_a_wrong_cut_where_no_relu_lets_anything_pass(dense: Any) -> None:
    model = keras.models.clone_model(dense)
    model.set_weights(dense.get_weights())
    first = model.layers[[isinstance(layer, keras_surgery.CONVOLUTIONS) for layer in model.layers].index(True)]
    first.set_weights([first.kernel.numpy(), np.full(first.filters, -1e3)])
    pruned, selections = keras_surgery.prune(model, SETTINGS)
    name = list(selections)[1]
    wrong = {**selections, name: replace(selections[name], kept=np.arange(len(selections[name].kept)))}
    assert keras_surgery.proof_error(model, pruned, selections, SHAPE) < 1e-13
    assert keras_surgery.proof_error(model, pruned, wrong, SHAPE) > 1e-6


def test_the_pruned_models_weights_keep_their_precision(dense: Any) -> None:
    pruned, selections = keras_surgery.prune(dense, SETTINGS)
    keras_surgery.proof_error(dense, pruned, selections, SHAPE)
    assert {str(array.dtype) for model in (dense, pruned) for array in model.get_weights()} == {"float32"}
    assert keras.config.floatx() == "float32"


def small_network(*end: Any) -> Any:
    """A convolution with ReLU, and the layers given, up to a signature and a classifier."""
    maps = inputs = keras.Input((6, 6, 2))
    for layer in (keras.layers.Conv2D(8, 6, activation="relu", name="first"), *end, keras.layers.Flatten()):
        maps = layer(maps)
    signature = keras.layers.Dense(4)(maps)
    return keras.Model(inputs, keras.layers.Dense(3)(signature))


@pytest.mark.parametrize(
    ("end", "prunable"),
    [
        ([keras.layers.Conv2D(8, 1, name="last")], False),  # a dense layer in all but name
        ([keras.layers.Conv2D(8, 1, name="last"), keras.layers.BatchNormalization()], False),
        ([keras.layers.Conv2D(8, 1, activation="relu", name="last")], True),
        ([keras.layers.Conv2D(8, 1, name="last"), keras.layers.BatchNormalization(), keras.layers.ReLU()], True),
        ([keras.layers.Conv2D(8, 1, name="last"), keras.layers.Conv2D(8, 1)], True),  # linear, but not last
    ],
)
def test_the_code_is_the_last_convolution_if_it_is_linear_whatever_its_name(end: list[Any], prunable: bool) -> None:
    model = small_network(*end)
    assert [group.conv for group in keras_surgery.channels(model)] == ["first", "last"][: 1 + prunable]
    pruned, selections = keras_surgery.prune(model, replace(SETTINGS, percentile=50))
    assert keras_surgery.proof_error(model, pruned, selections, (2, 6, 6, 2)) < 1e-13
