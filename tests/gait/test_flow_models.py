"""The Keras models on optical flow: their published sizes, their outputs, pruning and export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import export
from compress.pruning.select import PruneSettings
from gait.errors import DataError
from tests.support.families import some

keras_surgery = pytest.importorskip("compress.pruning.keras_surgery", reason="needs TensorFlow")
import keras  # noqa: E402

from gait.models import cnn2d, cnn2plus1d, cnn3d  # noqa: E402
from gait.networks import keras_model  # noqa: E402

FLAT = {"filters": [96, 192, 512, 512], "dense": 2048, "signature": 1024, "dropout": 0.4}
SOLID = {"filters": [64, 128, 256, 512, 512, 512], "code": 1024, "signature": 1024}
MODULES = {"cnn2d": (cnn2d, FLAT), "cnn3d": (cnn3d, SOLID), "cnn2plus1d": (cnn2plus1d, SOLID)}
# Layer: its map (frames, rows, columns, as far as there are any) and channels, and its parameters.
PUBLISHED: dict[str, dict[str, tuple[list[int], int]]] = {
    "cnn2d": {
        "channels_last": ([60, 60, 50], 0),
        "conv1": ([54, 54, 96], 235_296), "pool1": ([27, 27, 96], 0),
        "conv2": ([23, 23, 192], 460_992), "pool2": ([11, 11, 192], 0),
        "conv3": ([9, 9, 512], 885_248), "pool3": ([4, 4, 512], 0),
        "conv4": ([3, 3, 512], 1_049_088), "pool4": ([1, 1, 512], 0),
        "flatten": ([512], 0), "dense": ([2048], 1_050_624), "code": ([1024], 2_098_176), "code_1": ([1024], 1_049_600),
        "probs": ([150], 153_750),
    },
    "cnn3d": {
        "frames": ([25, 2, 60, 60], 0), "channels_last": ([25, 60, 60, 2], 0),
        "conv1": ([23, 28, 28, 64], 9_664),
        "conv2": ([21, 13, 13, 128], 221_312),
        "conv3": ([10, 6, 6, 256], 884_992),
        "conv4": ([4, 2, 2, 512], 3_539_456),
        "conv5": ([2, 1, 1, 512], 3_146_240),
        "conv6": ([1, 1, 1, 512], 524_800),
        "grayCode": ([1, 1, 1, 1024], 525_312), "flatten": ([1024], 0), "code_1": ([1024], 1_049_600),
        "probs": ([150], 153_750),
    },
}  # fmt: skip
SAMPLES = np.random.default_rng(0).normal(size=(2, 50, 60, 60)).astype(np.float32)


@pytest.fixture(scope="module", params=MODULES)
def published(request: pytest.FixtureRequest) -> Any:
    module, settings = MODULES[request.param]
    return module.build(settings, 1, 150)


@pytest.fixture(scope="module", params=MODULES)
def narrow(request: pytest.FixtureRequest) -> Any:
    """Models of an eighth of the published width; biases are not 0, so that a lost one shows."""
    keras.utils.set_random_seed(0)
    module, settings = MODULES[request.param]
    model = module.build(settings, 0.125, 5)
    for layer in model.layers:
        layer.set_weights(
            [array + 0.05 * np.random.default_rng(0).normal(size=array.shape) for array in layer.get_weights()]
        )
    return model


def signatures(model: Any, samples: np.ndarray) -> np.ndarray:
    return keras_model.signature_model(model)(samples).numpy()[:, 0]


def test_the_published_size_is_met_to_the_unit(published) -> None:
    solid = [*SOLID["filters"], SOLID["code"]]
    spatial, temporal = [25, 9, 9, 9, 4, 1, 1], [3, 3, 3, 3, 3, 2, 0]
    apart = sum(
        (inputs * pixels + 1) * filters + (frames > 0) * (filters * frames + 1) * filters
        for inputs, filters, pixels, frames in zip([2, *solid], solid, spatial, temporal, strict=False)
    )
    expected = {"cnn2d": 6_982_774, "cnn3d": 10_055_126, "cnn2plus1d": apart + 1025 * 1024 + 1025 * 150}
    assert published.count_params() == expected[published.name]


def test_the_rows_of_layers_are_those_of_the_published_table(published) -> None:
    rows = keras_model.layers(published)
    if published.name in PUBLISHED:
        assert {row["name"]: (row["output"], row["params"]) for row in rows} == PUBLISHED[published.name]
    assert sum(row["params"] for row in rows) == published.count_params()
    assert [row["name"] for row in rows if row.get("training_only")] == ["probs"]


@pytest.mark.slow
@pytest.mark.parametrize("published", ["cnn2d", "cnn3d", "cnn2plus1d"], indirect=True)
def test_the_multiply_adds_of_layers_are_those_of_the_exported_network(published, tmp_path: Path) -> None:
    rows = [row for row in keras_model.layers(published) if not row.get("training_only")]
    counted = sum(row["macs"] for row in rows)
    about = {"cnn2d": 1.02e9, "cnn3d": 1.34e9, "cnn2plus1d": 1.11e9}
    assert counted == pytest.approx(about[published.name], rel=0.01)
    path = tmp_path / "model.onnx"
    export.export_keras(keras_model.signature_model(published), path, [1, 50, 60, 60], 17)
    assert export.multiply_adds(path, [1, 50, 60, 60]) == counted


def test_the_2_plus_1_d_cnn_has_the_maps_of_the_3d_cnn() -> None:
    solid, apart = (
        {row["name"]: row["output"] for row in keras_model.layers(module.build(SOLID, 0.125, 5))}
        for module in (cnn3d, cnn2plus1d)
    )
    for number in range(1, 7):
        assert apart[f"conv{number}_temporal"] == solid[f"conv{number}"]
        # Space first: the frames of what comes in, the pixels of what goes out.
        frames = 25 if number == 1 else apart[f"conv{number - 1}_temporal"][0]
        assert apart[f"conv{number}_spatial"] == [frames, *solid[f"conv{number}"][1:]]


def convolved(maps: np.ndarray, layer: Any, stride: tuple[int, ...] | None = None) -> np.ndarray:
    """A convolution with ReLU by its definition, on maps [..., channels] without a batch."""
    kernel, bias = layer.get_weights()
    axes = tuple(range(maps.ndim - 1))
    windows = np.lib.stride_tricks.sliding_window_view(maps, kernel.shape[:-2], axes)
    windows = windows[tuple(slice(None, None, step) for step in stride or ())]
    # Windows [positions..., channels, kernel...] with the kernel [kernel..., channels, filters].
    size = len(axes)
    summed = np.tensordot(windows, kernel, ([*range(size + 1, 2 * size + 1), size], [*range(size + 1)]))
    return np.maximum(summed + bias, 0)


def dense(features: np.ndarray, layer: Any) -> np.ndarray:
    kernel, bias = layer.get_weights()
    return features @ kernel.reshape(-1, kernel.shape[-1]) + bias


def pooled(maps: np.ndarray) -> np.ndarray:
    rows, columns = (size // 2 * 2 for size in maps.shape[:2])
    corners = [maps[row:rows:2, column:columns:2] for row in (0, 1) for column in (0, 1)]
    return np.maximum.reduce(corners)


def by_definition(model: Any, sample: np.ndarray) -> np.ndarray:
    """The signature of one sample [50, 60, 60], computed without Keras, channel by channel as a sample is stored."""
    layer = model.get_layer
    if model.name == "cnn2d":
        maps = np.stack([sample[channel] for channel in range(50)], axis=-1)
        for number in range(1, 5):
            maps = pooled(convolved(maps, layer(f"conv{number}")))
        return dense(dense(dense(maps.ravel(), layer("dense")), layer("code")), layer("code_1"))
    frames = [np.stack([sample[2 * frame], sample[2 * frame + 1]], axis=-1) for frame in range(25)]
    maps = np.stack(frames)
    for number, step in enumerate([(1, 2), (1, 2), (2, 2), (2, 2), (1, 1), (1, 1)], start=1):
        if model.name == "cnn3d":
            maps = convolved(maps, layer(f"conv{number}"), (step[0], step[1], step[1]))
        else:
            maps = convolved(maps, layer(f"conv{number}_spatial"), (1, step[1], step[1]))
            maps = convolved(maps, layer(f"conv{number}_temporal"), (step[0], 1, 1))
    return dense(dense(maps.ravel(), layer("grayCode")), layer("code_1"))


def test_a_signature_equals_its_definition(narrow) -> None:
    expected = np.stack([by_definition(narrow, sample) for sample in SAMPLES.astype(np.float64)])
    np.testing.assert_allclose(signatures(narrow, SAMPLES), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_the_order_of_frames_and_of_x_and_y_matters(narrow) -> None:
    """Otherwise the comparison with the definition would prove nothing about the order."""
    expected = signatures(narrow, SAMPLES)
    by_frame = SAMPLES.reshape(2, 25, 2, 60, 60)
    swapped, reversed_, planar = (by_frame[:, :, ::-1], by_frame[:, ::-1], by_frame.swapaxes(1, 2))
    for other in (swapped, reversed_, planar, SAMPLES.swapaxes(2, 3)):
        difference = np.abs(signatures(narrow, other.reshape(SAMPLES.shape)) - expected).max()
        assert difference > 1e-2 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("scope", "criterion", "multiple"),
    some([("layer", "mean-l1", 4), ("global", "mean-l1", 4), ("global", "l1", 1)], ("layer", "mean-l1", 4)),
)
@pytest.mark.parametrize("narrow", some(MODULES, "cnn2d"), indirect=True)
def test_half_of_the_filters_can_be_removed(narrow, scope: str, criterion: str, multiple: int) -> None:
    pruned, selections = keras_surgery.prune(narrow, PruneSettings(50, criterion, scope, multiple, multiple))
    assert sum(len(selection.kept) for selection in selections.values()) < sum(
        selection.filters for selection in selections.values()
    )
    assert keras_surgery.proof_error(narrow, pruned, selections, SAMPLES.shape) < 1e-5
    assert np.abs(signatures(pruned, SAMPLES)).max() > 1e-3
    # The signature keeps its size.
    assert pruned.get_layer("code_1").units == narrow.get_layer("code_1").units


def test_all_convolutions_but_the_gray_code_are_pruned(published) -> None:
    groups = keras_surgery.channels(published)
    filters = sum(published.get_layer(group.conv).filters for group in groups)
    assert filters == {"cnn2d": 1_312, "cnn3d": 1_984, "cnn2plus1d": 2 * 1_984}[published.name]
    assert groups[-1].reader == {"cnn2d": "dense"}.get(published.name, "grayCode")


@pytest.mark.parametrize("narrow", some(MODULES, "cnn2d"), indirect=True)
def test_the_exported_network_gives_the_same_signatures(narrow, tmp_path: Path) -> None:
    pruned, _ = keras_surgery.prune(narrow, PruneSettings(50, "mean-l1", "layer", 4, 4))
    for number, model in enumerate((narrow, pruned)):
        network, path = keras_model.signature_model(model), tmp_path / f"{number}.onnx"
        export.export_keras(network, path, [1, 50, 60, 60], 17)
        samples = [sample[None] for sample in SAMPLES]
        assert export.relative_error(export.run(path, samples), [network(sample).numpy() for sample in samples]) < 1e-4


def test_only_the_transpose_of_x_and_y_to_channels_is_left_in_the_file(tmp_path: Path) -> None:
    import onnx

    path = tmp_path / "model.onnx"
    export.export_keras(keras_model.signature_model(cnn3d.build(SOLID, 0.125, 5)), path, [1, 50, 60, 60], 17)
    transposes = [node for node in onnx.load(path).graph.node if node.op_type == "Transpose"]
    assert [list(node.attribute[0].ints) for node in transposes] == [[0, 2, 1, 3, 4]]


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("cnn2d", {"code": 4}, "cnn2d: architecture takes filters, dense, signature, dropout, not filters, dense,"),
        (
            "cnn3d",
            {"dropout": 0.1},
            "cnn3d: architecture takes filters, code, signature, not filters, code, signature, dropout",
        ),
        ("cnn2plus1d", {"filters": [4] * 5}, "architecture.filters = [4, 4, 4, 4, 4]: must be 6 whole numbers above 0"),
        ("cnn3d", {"filters": 64}, "architecture.filters = 64: must be 6 whole numbers above 0"),
        ("cnn2d", {"filters": [4, 4, 0, 4]}, "must be 4 whole numbers above 0"),
        ("cnn3d", {"code": 0.5}, "cnn3d: architecture.code = 0.5: must be a whole number above 0"),
        ("cnn2d", {"dropout": 1}, "cnn2d: architecture.dropout = 1: must be at least 0 and less than 1"),
        ("cnn2d", {"dropout": "0.4"}, "cnn2d: architecture.dropout = 0.4: must be at least 0 and less than 1"),
    ],
)
def test_settings_out_of_range_are_named(name: str, changes: dict[str, Any], message: str) -> None:
    module, settings = MODULES[name]
    with pytest.raises(DataError) as caught:
        module.build(settings | changes, 1, 5)
    assert message in str(caught.value)
