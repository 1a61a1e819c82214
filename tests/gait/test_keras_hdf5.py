"""Weights from HDF5 files in the layout of Keras 2, and from damaged or hostile files."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from gait.errors import DataError
from gait.imported.keras_hdf5 import is_hdf5, load_into

pytest.importorskip("tensorflow", reason="needs TensorFlow")
import keras

from gait.models import cnn2d, cnn2plus1d, cnn3d
from gait.networks import keras_model

FLAT = {"filters": [96, 192, 512, 512], "dense": 2048, "signature": 1024, "dropout": 0.4}
SOLID = {"filters": [64, 128, 256, 512, 512, 512], "code": 1024, "signature": 1024}
BUILDS = {"cnn2d": (cnn2d.build, FLAT), "cnn3d": (cnn3d.build, SOLID), "cnn2plus1d": (cnn2plus1d.build, SOLID)}
# As Keras numbered them in a session that had built a model before; the order is that of the file, not of the numbers.
CONVOLUTIONS = {
    "cnn2d": ["conv2d_9", "conv2d_10", "conv2d_11", "conv2d"],
    "cnn3d": ["conv3d", *(f"conv3d_{number}" for number in (4, 3, 12, 1, 2))],
    "cnn2plus1d": [f"conv3d_{number}" for number in range(7, 19)],
}
SAMPLES = np.random.default_rng(0).normal(size=(2, 50, 60, 60)).astype(np.float32)

Layers = dict[str, dict[str, np.ndarray]]


def build(name: str, classes: int = 5, seed: int = 0) -> Any:
    keras.utils.set_random_seed(seed)
    function, settings = BUILDS[name]
    return function(settings, 1 / 24, classes)


def signatures(model: Any) -> np.ndarray:
    return keras_model.signature_model(model)(SAMPLES).numpy()


def keras2_layers(model: Any) -> Layers:
    """The model's tensors under the names that Keras 2 gave them; layers without weights are there too."""
    names = iter(CONVOLUTIONS[model.name])
    layers: Layers = {"input_1": {}}
    for layer in model.layers[1:]:
        name = next(names) if layer.name.startswith("conv") else layer.name
        layers[name] = {f"{name}/{weight.name}:0": weight.numpy() for weight in layer.weights}
    return layers


def set_names(group: h5py.Group, attribute: str, names: list[str], parts: int = 1, text: bool = False) -> None:
    stored: Any = names if text else [name.encode() for name in names]
    if not text:
        stored = np.array(stored) if names else []
    if parts == 1:
        group.attrs[attribute] = stored
        return
    for number, part in enumerate(np.array_split(np.array(stored), parts)):
        group.attrs[f"{attribute}{number}"] = part


def write(path: Path, layers: Layers, full: bool = False, parts: int = 1, text: bool = False) -> Path:
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights") if full else file
        set_names(group, "layer_names", list(layers), parts, text)
        for name, tensors in layers.items():
            layer = group.create_group(name)
            set_names(layer, "weight_names", list(tensors), text=text)
            for weight, array in tensors.items():
                layer.create_dataset(weight, data=array)
        if full:
            file.attrs["model_config"] = '{"class_name": "Lambda"}'
            set_names(file.create_group("optimizer_weights"), "weight_names", ["SGD/iter:0"])
    return path


@pytest.fixture(scope="module")
def trained() -> dict[str, Any]:
    """Models in which every number, of biases too, differs from a fresh model's."""
    models = {name: build(name, seed=1) for name in BUILDS}
    rng = np.random.default_rng(1)
    for model in models.values():
        for layer in model.layers:
            layer.set_weights([array + rng.normal(0, 0.02, array.shape) for array in layer.get_weights()])
    return models


@pytest.mark.parametrize(
    "layout",
    [
        pytest.param({}, id="weights", marks=pytest.mark.slow),
        pytest.param({"full": True}, id="full", marks=pytest.mark.slow),
        pytest.param({"parts": 3}, id="parts"),
        pytest.param({"full": True, "parts": 2, "text": False}, id="both"),
    ],
)
@pytest.mark.parametrize("name", BUILDS)
def test_a_file_of_keras_2_gives_its_signatures(trained, tmp_path: Path, name: str, layout: dict[str, Any]) -> None:
    path = write(tmp_path / "model.hdf5", keras2_layers(trained[name]), **layout)
    model = build(name)
    assert is_hdf5(path)
    assert load_into(model, path) == []
    np.testing.assert_array_equal(signatures(model), signatures(trained[name]))
    assert all(map(np.array_equal, model.get_weights(), trained[name].get_weights()))


def test_names_may_be_text(trained, tmp_path: Path) -> None:
    layers = {layer: tensors for layer, tensors in keras2_layers(trained["cnn2d"]).items() if tensors}
    model = build("cnn2d")
    assert load_into(model, write(tmp_path / "model.h5", layers, text=True)) == []
    np.testing.assert_array_equal(signatures(model), signatures(trained["cnn2d"]))


def test_the_legacy_file_that_keras_itself_writes_is_read(trained, tmp_path: Path) -> None:
    trained["cnn3d"].save(tmp_path / "model.h5")
    model = build("cnn3d")
    assert load_into(model, tmp_path / "model.h5") == []
    np.testing.assert_array_equal(signatures(model), signatures(trained["cnn3d"]))


def test_convolutions_are_taken_in_the_order_of_the_file(trained, tmp_path: Path) -> None:
    layers = keras2_layers(trained["cnn2d"])
    model = build("cnn2d")
    load_into(model, write(tmp_path / "model.h5", layers))
    for number, name in enumerate(CONVOLUTIONS["cnn2d"], start=1):
        assert np.array_equal(model.get_layer(f"conv{number}").get_weights()[0], layers[name][f"{name}/kernel:0"])


def test_halves_and_doubles_are_read(trained, tmp_path: Path) -> None:
    layers = keras2_layers(trained["cnn2d"])
    layers["code"] = {name: array.astype(np.float64) for name, array in layers["code"].items()}
    layers["code_1"] = {name: array.astype(np.float16) for name, array in layers["code_1"].items()}
    model = build("cnn2d")
    load_into(model, write(tmp_path / "model.h5", layers))
    np.testing.assert_allclose(signatures(model), signatures(trained["cnn2d"]), rtol=0.02, atol=1e-4)


@pytest.mark.parametrize("classes", [None, 150])
def test_a_classifier_of_other_people_is_left_out_with_a_note(trained, tmp_path: Path, classes: int | None) -> None:
    layers = keras2_layers(trained["cnn3d"])
    probs = layers.pop("probs")
    if classes:
        inputs = probs["probs/kernel:0"].shape[0]
        layers["probs"] = {"probs/kernel:0": np.ones((inputs, classes)), "probs/bias:0": np.ones(classes)}
    model = build("cnn3d")
    fresh = model.get_layer("probs").get_weights()
    why = "that of the file tells 150 identities apart, the model's 5" if classes else "the file has none"
    assert load_into(model, write(tmp_path / "model.h5", layers)) == [f"the classifier keeps fresh weights: {why}"]
    assert all(map(np.array_equal, model.get_layer("probs").get_weights(), fresh))
    np.testing.assert_array_equal(signatures(model), signatures(trained["cnn3d"]))


@functools.cache
def untouched() -> Any:
    return build("cnn2d")


def refused(path: Path) -> str:
    """The message of a refusal; the model must stay as before."""
    model = untouched()
    before = model.get_weights()
    with pytest.raises(DataError) as caught:
        load_into(model, path)
    assert all(map(np.array_equal, model.get_weights(), before))
    message = str(caught.value)
    assert message.startswith(str(path))
    return message.removeprefix(str(path)).lstrip(": ")


def test_all_differences_are_listed_at_once(trained, tmp_path: Path) -> None:
    layers = keras2_layers(trained["cnn2d"])
    del layers["code"]
    layers["dense"]["dense/kernel:0"] = np.zeros((20, 7), np.float32)
    layers["conv2d_10"]["conv2d_10/bias:0"] = np.zeros(3, np.float32)
    layers["dense_4"] = {"dense_4/kernel:0": np.zeros((2, 3), np.float32)}
    layers["conv2d_99"] = {"conv2d_99/kernel:0": np.zeros((1, 1, 2, 3), np.float32)}
    assert refused(write(tmp_path / "model.h5", layers)) == (
        "the weights do not fit the model; missing: code/kernel [84, 44], code/bias [44]; "
        "not in the model: dense_4/kernel [2, 3], convolution 5/kernel [1, 1, 2, 3]; "
        "of another shape: convolution 2/bias [3] instead of [8], dense/kernel [20, 7] instead of [20, 84]"
    )


@pytest.mark.parametrize(
    "shapes",
    [
        {"kernel": (44, 150), "bias": (5,)},
        {"kernel": (4, 150), "bias": (150,)},
        {"kernel": (44, 150)},
        {"kernel": (), "bias": ()},
    ],
    ids=["one", "inputs", "no bias", "scalars"],
)
def test_a_classifier_that_fits_no_number_of_people_is_refused(trained, tmp_path: Path, shapes: Mapping[str, Any]) -> None:
    layers = keras2_layers(trained["cnn2d"])
    layers["probs"] = {f"probs/{tensor}:0": np.zeros(shape, np.float32) for tensor, shape in shapes.items()}
    assert "probs/kernel [" in refused(write(tmp_path / "model.h5", layers))


def test_the_file_of_another_model_is_refused(trained, tmp_path: Path) -> None:
    message = refused(write(tmp_path / "model.h5", keras2_layers(trained["cnn3d"])))
    assert "missing: dense/kernel [20, 84]" in message
    assert "convolution 1/kernel [3, 5, 5, 2, 4] instead of [7, 7, 50, 4]" in message


def test_a_tensor_that_comes_twice_in_a_layer_is_left_over(trained, tmp_path: Path) -> None:
    layers = keras2_layers(trained["cnn2d"])
    layers["code"]["other/kernel:0"] = np.zeros((2, 3), np.float32)
    assert "not in the model: code/other/kernel:0 [2, 3]" in refused(write(tmp_path / "model.h5", layers))


def test_a_flattened_map_of_several_pixels_is_refused(tmp_path: Path) -> None:
    maps = keras.Input((2, 2, 3))
    model = keras.Model(maps, keras.layers.Dense(2, name="probs")(keras.layers.Flatten(name="flatten")(maps)))
    with pytest.raises(DataError, match=r"the flattened maps, \[2, 2, 3\], have more than one pixel"):
        load_into(model, tmp_path / "model.h5")


@pytest.mark.parametrize("content", [b"", b"\x89HDF", pickle.dumps({"conv2d": [1.0]})], ids=["empty", "short", "pickle"])
def test_a_file_that_is_not_hdf5_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.hdf5"
    path.write_bytes(content)
    assert not is_hdf5(path)
    assert refused(path) == "is no HDF5 file"


def test_what_tensorflow_saves_otherwise_is_refused_with_what_to_save(tmp_path: Path) -> None:
    import tensorflow as tf

    from gait.imported import load_into as load_any

    module = tf.Module()
    module.weight = tf.Variable([1.0])
    tf.saved_model.save(module, str(tmp_path / "saved"))
    tf.train.Checkpoint(module=module).write(str(tmp_path / "checkpoints/ckpt"))
    for name, what in (
        ("saved", "is a SavedModel of TensorFlow"),
        ("saved/saved_model.pb", "is a part of TensorFlow's own form"),
        ("checkpoints", "holds a checkpoint of TensorFlow"),
        ("checkpoints/ckpt", "is a checkpoint of TensorFlow"),
        ("checkpoints/ckpt.index", "is a part of TensorFlow's own form"),
    ):
        with pytest.raises(DataError, match=rf"{name} {what}; where it was made, load it and .*save\(\"weights.h5\"\)"):
            load_any(None, tmp_path / name)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert not is_hdf5(tmp_path)
    assert refused(tmp_path / "none.h5") == "is no HDF5 file"


@pytest.mark.parametrize("kept", [8, 100, 2000, -1])
def test_a_truncated_file_is_refused(trained, tmp_path: Path, kept: int) -> None:
    path = write(tmp_path / "model.h5", keras2_layers(trained["cnn2d"]))
    path.write_bytes(path.read_bytes()[:kept])
    assert "truncated" in refused(path) or kept < 2000


def spoil(path: Path, change: Callable[[h5py.File], None]) -> str:
    with h5py.File(path, "a") as file:
        change(file)
    return refused(path)


def naming(names: Any) -> Callable[[h5py.File], None]:
    """The file with other names of layers."""
    return lambda file: file.attrs.__setitem__("layer_names", names)


def weighing(names: Any) -> Callable[[h5py.File], None]:
    """The file with other names of one layer's weights."""
    return lambda file: file["code"].attrs.__setitem__("weight_names", names)


def unnamed(place: str, attribute: str) -> Callable[[h5py.File], None]:
    return lambda file: file[place].attrs.__delitem__(attribute)


def removed(place: str) -> Callable[[h5py.File], None]:
    return lambda file: file.__delitem__(place)


def replaced(place: str, **dataset: Any) -> Callable[[h5py.File], None]:
    """The file with another dataset in place of one."""

    def change(file: h5py.File) -> None:
        file.pop(place, None)
        file.create_dataset(place, **dataset)

    return change


BIAS = "code/code/bias:0"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (unnamed("/", "layer_names"), "/ has no attribute layer_names"),
        (unnamed("code", "weight_names"), "/code has no attribute weight_names"),
        (naming("conv2d"), "/: attribute layer_names must be a list"),
        (naming(np.zeros((2, 2), "S3")), "/: attribute layer_names must be a list"),
        (naming(np.zeros(1001, "S3")), "at most 1000 names"),
        (naming([1, 2]), "/: attribute layer_names must hold text, not int64"),
        (naming(h5py.Empty("S3")), "/: attribute layer_names must be a list"),
        (naming(np.array([b"\xff"])), "codec can't decode"),
        (naming([b"\xff"]), "codec can't encode"),
        (naming([b"code", b"code"]), "/ names a layer twice"),
        (naming([b"../code"]), "/ has no ../code"),
        (naming([b"/code"]), "/ has no /code"),
        (naming([b""]), "/ has no "),
        (naming([BIAS.encode()]), f"/{BIAS} is not a group"),
        (removed("code"), "/ has no code"),
        (removed(BIAS), "/code has no code/bias:0"),
        (replaced("model_weights", data=1.0), "/model_weights is not a group"),
        (weighing([b"code"]), "/code/code is not a dataset"),
        (lambda file: weighing(np.array([file.ref], h5py.ref_dtype))(file), "/code: attribute weight_names must hold text"),
        (replaced(BIAS, data=["a"] * 44), f"/{BIAS} does not hold floating-point numbers"),
        (replaced(BIAS, data=np.zeros(44, "S4")), f"/{BIAS} does not hold floating-point numbers"),
        (replaced(BIAS, data=np.zeros(44, int)), f"/{BIAS} does not hold floating-point numbers"),
        (replaced(BIAS, data=np.zeros(44, [("x", "f4")])), f"/{BIAS} does not hold floating-point numbers"),
        (replaced(BIAS, shape=44, dtype=h5py.ref_dtype), f"/{BIAS} does not hold floating-point numbers"),
        (replaced(BIAS, data=h5py.Empty("f4")), f"/{BIAS} does not hold floating-point numbers"),
        (replaced(BIAS, shape=(10**9, 10**6), dtype="f4"), "code/bias [1000000000, 1000000] instead of [44]"),
        (replaced(BIAS, shape=44, dtype="f4"), f"/{BIAS} was never written"),
        (replaced(BIAS, data=np.zeros(44), chunks=(11,), compression="gzip"), f"/{BIAS} is not stored in one piece"),
        (replaced(BIAS, data=np.full(44, np.nan)), f"/{BIAS} holds numbers that are not finite"),
    ],
)  # fmt: skip
def test_odd_content_is_refused_by_name(trained, tmp_path: Path, change: Callable[[h5py.File], None], message: str) -> None:
    assert message in spoil(write(tmp_path / "model.h5", keras2_layers(trained["cnn2d"])), change)


def test_nothing_is_fetched_from_elsewhere(trained, tmp_path: Path) -> None:
    """Each file would be whole if the reader followed its links, external data or virtual data."""
    layers = keras2_layers(trained["cnn2d"])
    other = write(tmp_path / "other.h5", layers)
    np.zeros(44, np.float32).tofile(tmp_path / "raw")

    def linked(link: Any, place: str) -> Callable[[h5py.File], None]:
        def change(file: h5py.File) -> None:
            if place in file:
                file.move(place, "hidden")
            file[place] = link

        return change

    def virtual(file: h5py.File) -> None:
        layout = h5py.VirtualLayout((44,), "f4")
        layout[:] = h5py.VirtualSource(other, BIAS, (44,))
        del file[BIAS]
        file.create_virtual_dataset(BIAS, layout)

    for change, message in (
        (linked(h5py.ExternalLink(other, "code"), "code"), "code is a link to somewhere else"),
        (linked(h5py.ExternalLink(other, BIAS), BIAS), "code/bias:0 is a link to somewhere else"),
        (linked(h5py.ExternalLink(other, "/"), "model_weights"), "model_weights is a link to somewhere else"),
        (linked(h5py.SoftLink("/hidden"), BIAS), "code/bias:0 is a link to somewhere else"),
        (linked(h5py.SoftLink("/code"), "code"), "code is a link to somewhere else"),
        (virtual, f"/{BIAS} is not stored in one piece"),
        (
            replaced(BIAS, shape=44, dtype="f4", external=[(tmp_path / "raw", 0, 176)]),
            f"/{BIAS} is not stored in one piece",
        ),
    ):
        assert message in spoil(write(tmp_path / "model.h5", layers), change)
