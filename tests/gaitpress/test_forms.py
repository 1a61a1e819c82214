"""Which of a network's files a device takes, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from compress.precision import calibration_cache
from gaitpress import forms, outputs
from gaitpress.errors import StageError
from gaitpress.params.quantize import Quantize
from remote import facts
from remote.python.instructions import exact_products
from stages.build import file_for
from stages.quantize import ways
from tests.support import commands
from tests.support.device_world import SHAPE, World

DEVICES = {
    "x86 without dot products": ({"runtime": "onnxruntime", "arch": "x86_64", "isa": ["avx2", "avx512f"]}, forms.CPU),
    "x86 with VNNI": ({"runtime": "onnxruntime", "arch": "x86_64", "isa": ["avx2", "avx512_vnni"]}, forms.CPU_8BIT),
    "x86 with AVX-VNNI": ({"runtime": "onnxruntime", "arch": "x86_64", "isa": ["avx_vnni"]}, forms.CPU_8BIT),
    "ARM": ({"runtime": "onnxruntime", "arch": "aarch64", "isa": ["asimd"]}, forms.CPU_8BIT),
    "VNNI, OpenVINO": ({"runtime": "openvino", "arch": "x86_64", "isa": ["avx512_vnni"]}, forms.OPENVINO),
    "AVX2, OpenVINO": ({"runtime": "openvino", "arch": "x86_64", "isa": ["avx2"]}, forms.CPU),
    "Jetson": ({"runtime": "tensorrt", "arch": "aarch64"}, forms.TENSORRT),
}


@pytest.mark.parametrize("name", DEVICES)
def test_each_device_takes_the_file_that_fits_it(name: str, tmp_path: Path) -> None:
    known, expected = DEVICES[name]
    (tmp_path / forms.CPU_8BIT).touch()
    (tmp_path / forms.OPENVINO).touch()
    assert file_for(known, tmp_path) == expected
    # What is not int8 has no file of its own for 8 bits, nor for OpenVINO.
    (tmp_path / forms.CPU_8BIT).unlink()
    (tmp_path / forms.OPENVINO).unlink()
    assert file_for(known, tmp_path) == (forms.TENSORRT if name == "Jetson" else forms.CPU)


def test_what_params_yaml_says_of_int8_holds_for_all_files() -> None:
    how = Quantize(calibration_sequences=1, method="minmax", per_channel=True)
    assert {file: (way.activations, way.weight_bits) for file, way in ways(how).items()} == {
        forms.CPU: ("uint8", 7), forms.TENSORRT: ("int8", 8), forms.CPU_8BIT: ("uint8", 8), forms.OPENVINO: ("uint8", 8)
    }  # fmt: skip
    given = how.model_copy(update={"activations": "int8", "weight_bits": 8})
    by_file = ways(given)
    assert set(by_file) == {forms.CPU, forms.TENSORRT, forms.OPENVINO}  # the one for 8 bits would be the first again
    assert {(way.activations, way.weight_bits) for way in by_file.values()} == {("int8", 8)}


def product(path: Path) -> None:
    """signature = the mean of all frames @ weights, with the axes of the world's networks."""
    weights = np.random.default_rng(0).standard_normal((SHAPE[1], 8)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1], keepdims=0),
            helper.make_node("MatMul", ["mean", "weights"], ["signature"], name="product"),
        ],
        "product",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", "frames", *SHAPE])],
        [helper.make_tensor_value_info("signature", TensorProto.FLOAT, ["batch", SHAPE[0], 8])],
        [numpy_helper.from_array(weights, "weights")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7), path)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world whose network was quantised by the stage, at the place of the fp32 one."""
    world = World(tmp_path_factory.mktemp("world"), (0,))
    exported, quantized = world.where / "exported", world.quantized()
    quantized.rename(exported)
    product(exported / "model.onnx")
    signature = json.loads((exported / "signature.json").read_text())
    del signature["forms"]
    outputs.write_json(
        exported / "signature.json", {**signature, "output": {"name": "signature", "shape": [1, SHAPE[0], 8]}}
    )
    words = ["--params", world.params, "--model", "gaitset", "--percentile", "0", "--precision", "int8"]
    words += ["--exported", exported, "--training", world.where / "training/{model}.json"]
    words += ["--preprocessed", world.where / "preprocessed", "--out", quantized]
    done = commands.stage("quantize", *words)
    assert done.returncode == 0, done.stderr
    return world


def test_best_is_fp32_with_the_ranges_that_tensorrt_takes_int8_by(world: World, tmp_path: Path) -> None:
    words = ["--params", world.params, "--model", "gaitset", "--percentile", "0", "--precision", "best"]
    words += ["--exported", world.where / "exported", "--training", world.where / "training/{model}.json"]
    words += ["--preprocessed", world.where / "preprocessed", "--out", tmp_path / "best"]
    done = commands.stage("quantize", *words)
    assert done.returncode == 0, done.stderr
    quantized = tmp_path / "best"
    assert (quantized / forms.CPU).read_bytes() == (world.where / "exported/model.onnx").read_bytes()
    for file in (forms.CPU, forms.TENSORRT):
        assert not [node for node in onnx.load(quantized / file).graph.node if "QuantizeLinear" in node.op_type]
    scales, of_int8 = (calibration_cache.read(at / "calibration.cache")[2] for at in (quantized, world.quantized()))
    assert scales == {name: pytest.approx(scale, rel=0.01) for name, scale in of_int8.items()}


def test_int8_is_written_in_all_forms_at_once(world: World) -> None:
    quantized = world.quantized()
    files = {path.name for path in quantized.iterdir()}
    written = {forms.CPU, forms.CPU_8BIT, forms.OPENVINO, forms.TENSORRT}
    assert files == {*written, "signature.json", "metrics.json", "settings.json", "calibration.cache"}
    descriptions = {file: forms.described(quantized, file) for file in written}
    assert {file: (form["activations"], form["weight_bits"], form["pairs_at"]) for file, form in descriptions.items()} == {
        forms.CPU: ("uint8", 7, "kernels"), forms.CPU_8BIT: ("uint8", 8, "kernels"), forms.TENSORRT: ("int8", 8, "weights"),
        forms.OPENVINO: ("uint8", 8, "weights"),
    }  # fmt: skip
    shapes = {file: form["input"]["shape"] for file, form in descriptions.items()}
    assert shapes[forms.CPU] == shapes[forms.CPU_8BIT] == shapes[forms.OPENVINO] == ["batch", "frames", *SHAPE]
    assert shapes[forms.TENSORRT] == ["batch", 4, *SHAPE]
    for file, shape in shapes.items():
        axes = onnx.load(quantized / file).graph.input[0].type.tensor_type.shape.dim
        assert [axis.dim_value or axis.dim_param for axis in axes] == shape
    metrics = json.loads((quantized / "metrics.json").read_text())
    for ending in ("", "_8bit", "_openvino", "_tensorrt"):
        assert 0 < metrics[f"signature_error{ending}"] < 0.05
        assert metrics[f"layers_in_fp32{ending}"] == 0
    with pytest.raises(StageError, match=r"there is no other\.onnx"):
        forms.described(quantized, "other.onnx")


@pytest.mark.slow
def test_the_record_says_which_file_the_device_took(world: World) -> None:
    exact = exact_products(facts.read(world.facts, "local"))
    assert world.build()["onnx"] == (forms.CPU_8BIT if exact else forms.CPU)
    signature = world.benchmark()["signature"]
    assert (signature["file"], signature["activations"], signature["weight_bits"], signature["pairs_at"]) == (
        forms.CPU_8BIT if exact else forms.CPU, "uint8", 8 if exact else 7, "kernels"
    )  # fmt: skip
    assert "forms" not in signature
