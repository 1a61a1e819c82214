"""What criteria need of Keras networks beside weights: effects on a loss, scales of batch norms, products of outputs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from compress.errors import CompressionError
from compress.pruning.select import PruneSettings

keras_surgery = pytest.importorskip("compress.pruning.keras_surgery", reason="needs TensorFlow")
import keras  # noqa: E402

from compress.pruning.keras_measures import measured  # noqa: E402
from gait.models import cnn2d  # noqa: E402

SETTINGS = PruneSettings(30, "taylor", "layer", 1, 1)
STEP = 1e-5


def network() -> Any:
    """Two convolutions in float64: one with a ReLU of its own and a pooling, one with batch norm and ReLU after it."""
    keras.utils.set_random_seed(0)
    layers, kind = keras.layers, {"dtype": "float64"}
    maps = inputs = keras.Input((9, 9, 2), dtype="float64")
    for layer in (
        layers.Conv2D(6, 3, activation="relu", bias_initializer="random_normal", name="first", **kind),
        layers.MaxPooling2D(2, name="pool", **kind),
        layers.Conv2D(5, 2, name="second", **kind),
        layers.BatchNormalization(beta_initializer="random_normal", gamma_initializer="random_uniform", name="norm", **kind),
        layers.ReLU(name="relu", **kind),
        layers.Flatten(**kind),
        layers.Dense(4, name="code", **kind),
    ):
        maps = layer(maps)
    return keras.Model(inputs, layers.Dense(3, activation="softmax", **kind)(maps))


def samples() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((3, 9, 9, 2))


def losses_by_sample(codes: Any) -> Any:
    return keras.ops.sum(keras.ops.sin(codes) * np.array([1.0, -2.0, 0.5, 1.5]), axis=1)


def loss(codes: Any) -> Any:
    return keras.ops.sum(losses_by_sample(codes))


def scaled(model: Any, reader: str, inputs: list[int], factor: float) -> np.ndarray:
    """The losses of a copy whose layer reads some of its inputs as multiplied by a factor."""
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    kernel, *rest = other.get_layer(reader).get_weights()
    kernel[..., inputs, :] *= factor
    other.get_layer(reader).set_weights([kernel, *rest])
    codes = keras.Model(other.input, other.layers[-1].input)(samples(), training=False)
    return keras.ops.convert_to_numpy(losses_by_sample(codes))


def test_effects_are_the_losses_derivatives_by_a_factor_on_what_the_next_layer_reads() -> None:
    model = network()
    by_layer = measured(model, keras_surgery.channels(model), ["effects"], [(samples(), loss)])["effects"]
    assert {name: effects[name].shape for name, effects in by_layer.items()} == {"first": (3, 6), "second": (3, 5)}
    for name, reader, filters, pixels in (("first", "second", 6, 1), ("second", "code", 5, 4)):
        for position in range(filters):
            inputs = [pixel * filters + position for pixel in range(pixels)]
            more, less = (scaled(model, reader, inputs, 1 + step) for step in (STEP, -STEP))
            expected = (more - less) / (2 * STEP)
            assert by_layer[name][name][:, position] == pytest.approx(expected, rel=1e-5, abs=1e-8)
        assert np.abs(by_layer[name][name]).max() > 1e-3  # or it would say nothing


def test_effects_do_not_depend_on_what_is_trainable_and_leave_the_network_as_it_was() -> None:
    model = network()
    before = model.get_weights()
    groups = keras_surgery.channels(model)
    one = measured(model, groups, ["effects"], [(samples(), loss)])["effects"]
    model.trainable = False
    other = measured(model, groups, ["effects"], [(samples(), loss)])["effects"]
    assert all(np.array_equal(one[name][name], other[name][name]) for name in one)
    assert all(np.array_equal(now, then) for now, then in zip(model.get_weights(), before, strict=True))


def test_a_filter_that_the_loss_does_not_see_goes_first() -> None:
    keras.utils.set_random_seed(0)
    model = cnn2d.build({"filters": [96, 192, 512, 512], "dense": 256, "signature": 64, "dropout": 0.4}, 0.0625, 5)
    dead = 2
    kernel, bias = model.get_layer("conv2").get_weights()
    kernel[:, :, dead] = 0
    model.get_layer("conv2").set_weights([kernel, bias])
    inputs = np.random.default_rng(0).standard_normal((4, 50, 60, 60)).astype(np.float32)
    how = replace(SETTINGS, percentile=10)
    pruned, selections = keras_surgery.prune(model, how, [(inputs, lambda codes: keras.ops.sum(codes**2))])
    filters = selections["conv1"].filters
    assert sorted(set(range(filters)) - set(selections["conv1"].kept)) == [dead]
    assert keras_surgery.proof_error(model, pruned, selections, (2, 50, 60, 60)) < 1e-13


def test_products_are_of_what_the_next_layer_reads_and_of_the_weights_that_read_it() -> None:
    model = network()
    groups = keras_surgery.channels(model)
    products = measured(model, groups, ["outputs", "readers"], [(samples()[:2], loss), (samples()[2:], loss)])
    for name, place, reader in (("first", "pool", "second"), ("second", "relu", "code")):
        maps = keras.Model(model.input, model.get_layer(place).output)(samples(), training=False).numpy()
        filters = maps.shape[-1]
        kernel = model.get_layer(reader).kernel.numpy()
        for one in range(filters):
            for other in range(filters):
                assert products["outputs"][name][name][one, other] == pytest.approx(
                    (maps[..., one] * maps[..., other]).sum()
                )
                # A convolution's inputs are channels; a flattened map's are all channels of a pixel, then of the next.
                weights = [kernel[..., position::filters, :] for position in (one, other)]
                assert products["readers"][name][name][one, other] == pytest.approx((weights[0] * weights[1]).sum())


def test_a_filter_that_another_repeats_goes_first_by_the_reconstruction_error() -> None:
    model = network()
    kernel, bias = model.get_layer("first").get_weights()
    kernel[..., 4], bias[4] = 2 * kernel[..., 1], 2 * bias[1]
    model.get_layer("first").set_weights([kernel, bias])
    how = replace(SETTINGS, percentile=10, criterion="reconstruction-error", spare=["second"])
    _, selections = keras_surgery.prune(model, how, [(samples(), loss)])
    assert len({1, 4} - set(selections["first"].kept)) == 1


def test_scales_are_the_gammas_of_the_batch_norm_that_follows() -> None:
    model = network()
    gamma = np.array([0.3, -0.9, 0.1, 0.5, 0.2])
    _, *rest = model.get_layer("norm").get_weights()
    model.get_layer("norm").set_weights([gamma, *rest])
    how = replace(SETTINGS, criterion="batch-norm", percentile=50, spare=["first"])
    _, selections = keras_surgery.prune(model, how)
    assert selections["second"].threshold == 0.3
    assert selections["second"].kept.tolist() == [0, 1, 3]


def test_a_layer_without_batch_norm_and_no_batches_are_reported() -> None:
    with pytest.raises(CompressionError, match="layer first: no batch norm with a scale follows its convolution"):
        keras_surgery.prune(network(), replace(SETTINGS, criterion="batch-norm"))
    with pytest.raises(CompressionError, match="needs training batches, and there are none"):
        keras_surgery.prune(network(), SETTINGS)
