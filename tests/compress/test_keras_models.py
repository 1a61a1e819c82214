"""Pruning, exporting and quantising Keras models; TensorFlow starts slowly, so these share one process and module."""

from dataclasses import replace

import numpy as np
import pytest

from compress import export
from compress.errors import CompressionError
from compress.pruning.select import PruneSettings
from gaitpress.results.layer_times import by_layer

keras_surgery = pytest.importorskip("compress.pruning.keras_surgery", reason="needs TensorFlow")
import keras  # noqa: E402

from gait.models import cnn2d  # noqa: E402
from gait.networks import keras_model  # noqa: E402
from tests.support.int8 import to_int8  # noqa: E402

PUBLISHED = {"filters": [96, 192, 512, 512], "dense": 2048, "signature": 1024, "dropout": 0.4}
SETTINGS = PruneSettings(30, "mean-l1", "layer", 4, 4)


@pytest.fixture(scope="module")
def dense():
    keras.utils.set_random_seed(0)
    model = cnn2d.build(PUBLISHED, 0.125, 5)
    for layer in model.layers:  # biases that are not zero, so that losing one shows
        layer.set_weights(
            [array + 0.01 * np.random.default_rng(0).normal(size=array.shape) for array in layer.get_weights()]
        )
    return model


def test_the_published_2d_cnn_has_the_published_size() -> None:
    model = cnn2d.build(PUBLISHED, 1, 150)
    assert model.count_params() == 6_982_774
    assert keras_model.signature_model(model).output.shape == (None, 1, 1024)


def test_channels_are_followed_through_batch_norm_and_a_flattened_map() -> None:
    inputs = keras.Input((8, 8, 2))
    maps = keras.layers.Conv2D(12, 3, name="first")(inputs)
    maps = keras.layers.Activation("relu")(keras.layers.BatchNormalization()(maps))
    maps = keras.layers.Conv2D(8, 3, activation="relu", name="second")(maps)
    features = keras.layers.Dense(6)(keras.layers.Flatten()(maps))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(features))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([np.random.default_rng(0).uniform(0.5, 2, 12) for _ in range(4)])
    pruned, selections = keras_surgery.prune(model, replace(SETTINGS, percentile=50))
    assert len(selections["first"].kept) < 12
    assert keras_surgery.proof_error(model, pruned, selections, (2, 8, 8, 2)) < 1e-13


def test_channels_that_branch_are_refused() -> None:
    inputs = keras.Input((8, 8, 2))
    maps = keras.layers.Conv2D(8, 3, padding="same", name="fork")(inputs)
    merged = keras.layers.Add()([maps, keras.layers.Conv2D(8, 3, padding="same")(maps)])
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(merged)))
    with pytest.raises(CompressionError, match="fork"):
        keras_surgery.prune(model, SETTINGS)


def test_a_model_is_the_same_after_saving_and_loading(dense, tmp_path) -> None:
    keras_model.save(dense, tmp_path)
    samples = np.random.default_rng(0).normal(size=(2, 50, 60, 60)).astype(np.float32)
    loaded = keras_model.load(tmp_path)
    np.testing.assert_array_equal(loaded.predict(samples, verbose=0), dense.predict(samples, verbose=0))


def test_the_onnx_file_gives_the_models_signatures_without_transposes(dense, tmp_path) -> None:
    import onnx

    network, path = keras_model.signature_model(dense), tmp_path / "model.onnx"
    export.export_keras(network, path, [1, 50, 60, 60], 17)
    samples = [np.random.default_rng(n).normal(size=(1, 50, 60, 60)).astype(np.float32) for n in range(3)]
    expected = [np.asarray(network(sample)) for sample in samples]
    assert export.relative_error(export.run(path, samples), expected) < 1e-4
    assert "Transpose" not in {node.op_type for node in onnx.load(path).graph.node}
    free = tmp_path / "free.onnx"
    export.export_keras(network, free, ["batch", 50, 60, 60], 17)
    assert export.batch_error(free, samples, expected) < 1e-4
    assert export.relative_error(export.run(free, samples), expected) < 1e-4
    assert "Transpose" not in {node.op_type for node in onnx.load(free).graph.node}

    quantised = tmp_path / "int8.onnx"
    to_int8(path, quantised, samples, "minmax", True, "uint8", 7)
    assert export.relative_error(export.run(quantised, samples), expected) < 0.2
    assert quantised.stat().st_size < 0.4 * path.stat().st_size


def test_every_node_with_weights_names_its_layer(tmp_path) -> None:
    import onnx

    path = tmp_path / "model.onnx"
    model = keras_model.build("cnn3d", {"filters": [4, 4, 4, 4, 4, 4], "code": 8, "signature": 8}, 1, 5)
    network = keras_model.signature_model(model)
    export.export_keras(network, path, [1, 50, 60, 60], 13)
    graph = onnx.load(path).graph
    weights = {tensor.name for tensor in graph.initializer if len(tensor.dims) > 1}
    nodes = [{"name": node.name, "op": node.op_type, "ms": 1.0} for node in graph.node if weights & set(node.input)]
    layers = [layer.name for layer in network.layers if layer.get_weights()]
    times = by_layer(nodes, layers)
    assert set(times.layers) == set(layers)
    assert times.others == {}


@pytest.mark.slow
def test_multiply_adds_of_the_published_network_are_about_one_billion(tmp_path) -> None:
    path = tmp_path / "model.onnx"
    export.export_keras(keras_model.signature_model(cnn2d.build(PUBLISHED, 1, 150)), path, [1, 50, 60, 60], 17)
    assert export.multiply_adds(path, [1, 50, 60, 60]) == pytest.approx(1.02e9, rel=0.01)


def classifier(maps: keras.KerasTensor, inputs: keras.KerasTensor) -> keras.Model:
    features = keras.layers.GlobalAveragePooling2D(name="average")(maps)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="probs")(features))


def test_the_convolution_that_gives_the_signature_keeps_its_filters() -> None:
    inputs = keras.Input((12, 12, 2))
    maps = keras.layers.Conv2D(8, 3, name="first")(inputs)
    model = classifier(keras.layers.Conv2D(8, 3, name="last")(maps), inputs)
    pruned, selections = keras_surgery.prune(model, SETTINGS)
    assert list(selections) == ["first"]
    assert keras_surgery.proof_error(model, pruned, selections, (2, 12, 12, 2)) < 1e-13


def test_a_grouped_convolution_is_refused_by_name() -> None:
    inputs = keras.Input((12, 12, 4))
    maps = keras.layers.Conv2D(8, 3, name="first")(inputs)
    maps = keras.layers.Conv2D(8, 3, groups=2, name="grouped")(maps)
    model = classifier(keras.layers.Conv2D(8, 3, name="last")(maps), inputs)
    with pytest.raises(CompressionError, match="layer grouped: a grouped convolution cannot be pruned"):
        keras_surgery.prune(model, SETTINGS)
