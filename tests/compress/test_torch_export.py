import numpy as np
import onnx
import pytest
import torch

from compress import export, quantization
from compress.errors import CompressionError
from gait.models import gaitset

PUBLISHED = {"channels": [32, 64, 128], "embedding": 256, "bins": [16, 8, 4, 2, 1]}


@pytest.fixture(scope="module")
def model() -> gaitset.GaitSet:
    torch.manual_seed(0)
    return gaitset.build(PUBLISHED, 0.25, 3).eval()


def signatures(model: gaitset.GaitSet, inputs: list[np.ndarray]) -> list[np.ndarray]:
    with torch.inference_mode():
        return [model(torch.from_numpy(each)).numpy() for each in inputs]


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export.export_torch(model, path, [1, "frames", 64, 44], 17)
    return path


@pytest.mark.parametrize("frames", [1, 2, 30, 77])
def test_the_onnx_file_gives_the_models_signatures_for_any_number_of_frames(model, exported, frames: int) -> None:
    inputs = [np.random.default_rng(frames).random((1, frames, 64, 44), np.float32)]
    assert export.relative_error(export.run(exported, inputs), signatures(model, inputs)) < 1e-4


def test_a_fixed_number_of_frames_is_fixed(model, tmp_path) -> None:
    path = tmp_path / "model.onnx"
    export.export_torch(model, path, [1, 30, 64, 44], 17)
    shape = onnx.load(path).graph.input[0].type.tensor_type.shape
    assert [axis.dim_value for axis in shape.dim] == [1, 30, 64, 44]


def test_multiply_adds_of_the_published_network_are_the_published_3_26_billion(tmp_path) -> None:
    path = tmp_path / "model.onnx"
    export.export_torch(gaitset.build(PUBLISHED, 1, 3).eval(), path, [1, "frames", 64, 44], 17)
    assert export.multiply_adds(path, [1, 30, 64, 44]) == pytest.approx(3.26e9, rel=0.005)


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_int8_signatures_stay_near_those_of_fp32(exported, tmp_path, activations: str) -> None:
    path = tmp_path / "int8.onnx"
    inputs = [np.random.default_rng(n).random((1, 12, 64, 44), np.float32) for n in range(4)]
    quantization.to_int8(exported, path, inputs, "minmax", True, activations, 7)
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in onnx.load(path).graph.node}
    assert export.relative_error(export.run(path, inputs), export.run(exported, inputs)) < 0.2


def test_int8_without_calibration_data_is_an_error(exported, tmp_path) -> None:
    with pytest.raises(CompressionError, match="calibration"):
        quantization.to_int8(exported, tmp_path / "int8.onnx", [], "minmax", True, "uint8", 7)
    assert not (tmp_path / "int8.onnx").exists()
