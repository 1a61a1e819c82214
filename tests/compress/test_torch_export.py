from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from compress import export
from compress.errors import CompressionError
from compress.precision import half_precision
from gait.models import gaitset
from gait.networks.torch_model import TorchModel
from gaitpress import params
from gaitpress.frameworks import framework
from gaitpress.onnx_files import write_onnx
from stages.export import batch_error
from tests.support.families import some
from tests.support.int8 import to_int8
from tests.support.published import LARGER, SMALLER, small
from tests.support.toy import ROOT

FORMS = {
    **{name: SMALLER[name] for name in SMALLER if name != "gln phase 2"},  # the same network as gln
    **{name: LARGER[name] for name in ("gaitgl bnneck", "baseline, three poolings")},
}
PUBLISHED = {"channels": [32, 64, 128], "embedding": 256, "bins": [16, 8, 4, 2, 1]}


@pytest.fixture(scope="module")
def model() -> gaitset.GaitSet:
    torch.manual_seed(0)
    return gaitset.build(PUBLISHED, 0.25, 3).eval()


def signatures(model: gaitset.GaitSet, inputs: list[np.ndarray]) -> list[np.ndarray]:
    with torch.inference_mode():
        return [model(torch.from_numpy(sequences)).numpy() for sequences in inputs]


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


@pytest.mark.parametrize("name", some(FORMS, "gaitset", "gaitgl", "gaitbase", "deepgaitv2 p3d"))
def test_every_model_gives_each_sequence_of_a_batch_the_signature_that_it_has_alone(tmp_path: Path, name: str) -> None:
    model, path = small(FORMS[name], 0.0625), tmp_path / "model.onnx"
    export.export_torch(model, path, ["batch", "frames", *model.frame_shape], 17)
    for frames in (1, 5):
        rng = np.random.default_rng(frames)
        inputs = [rng.random((1, frames, *model.frame_shape), np.float32) for _ in range(2)]
        assert export.batch_error(path, inputs, signatures(model, inputs)) < 1e-4
        assert export.relative_error(export.run(path, inputs), signatures(model, inputs)) < 1e-4


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_lower_precisions_keep_the_sequences_of_a_batch_apart_too(model, tmp_path: Path, precision: str) -> None:
    source, path = tmp_path / "model.onnx", tmp_path / "lower.onnx"
    export.export_torch(model, source, ["batch", "frames", 64, 44], 17)
    inputs = [np.random.default_rng(n).random((1, 12, 64, 44), np.float32) for n in range(3)]
    if precision == "fp16":
        half_precision.to_fp16(source, path, inputs)
    else:
        to_int8(source, path, inputs, "minmax", True, "uint8", 7)
    assert export.batch_error(path, inputs, export.run(path, inputs)) < 1e-3


class OneAtATime(TorchModel):
    """A network that takes all frames for those of one sequence, whatever the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(44, 8)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return self.fc(frames.reshape(1, -1, 64, 44).amax(1))


class Mixing(OneAtATime):
    """A network that compares each sequence with the others of its batch."""

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        rows = self.fc(frames.amax(1))
        return rows - rows.mean(0, keepdim=True) / 2


@pytest.mark.parametrize(
    ("kind", "said"), [(OneAtATime, "1 outputs for 3 inputs at once"), (Mixing, "change each other's signatures")]
)
def test_a_model_that_takes_one_sequence_at_a_time_is_reported_with_the_remedy(
    tmp_path: Path, kind: type[OneAtATime], said: str
) -> None:
    settings = params.load(ROOT / "params.yaml")
    entry, several = settings.model["gaitset"], settings.export.model_copy(update={"max_batch": 3})
    library, model, path = framework("torch"), kind().eval(), tmp_path / "model.onnx"
    write_onnx(library, model, entry, path, several)
    windows = [np.random.default_rng(n).random((1, 4, 64, 44), np.float32) for n in range(2)]
    with pytest.raises(CompressionError, match=f"{said}.*`max_batch: 1` under `export`"):
        batch_error(library, model, path, windows, several)


@pytest.mark.slow
def test_multiply_adds_of_the_published_network_are_the_published_3_26_billion(tmp_path) -> None:
    path = tmp_path / "model.onnx"
    export.export_torch(gaitset.build(PUBLISHED, 1, 3).eval(), path, [1, "frames", 64, 44], 17)
    assert export.multiply_adds(path, [1, 30, 64, 44]) == pytest.approx(3.26e9, rel=0.005)


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_int8_signatures_stay_near_those_of_fp32(exported, tmp_path, activations: str) -> None:
    path = tmp_path / "int8.onnx"
    inputs = [np.random.default_rng(n).random((1, 12, 64, 44), np.float32) for n in range(4)]
    to_int8(exported, path, inputs, "minmax", True, activations, 7)
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in onnx.load(path).graph.node}
    assert export.relative_error(export.run(path, inputs), export.run(exported, inputs)) < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gaitgl bnneck", "baseline, three poolings"])
def test_int8_of_other_forms_stays_near_fp32(name: str, tmp_path: Path) -> None:
    model, source, path = small(LARGER[name]), tmp_path / "model.onnx", tmp_path / "int8.onnx"
    export.export_torch(model, source, [1, "frames", *model.frame_shape], 17)
    inputs = [np.random.default_rng(n).random((1, 6, *model.frame_shape), np.float32) for n in range(2)]
    to_int8(source, path, inputs, "minmax", True, "uint8", 7)
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in onnx.load(path).graph.node}
    assert export.relative_error(export.run(path, inputs), export.run(source, inputs)) < 0.2


def test_int8_without_calibration_data_is_an_error(exported, tmp_path) -> None:
    with pytest.raises(CompressionError, match="calibration"):
        to_int8(exported, tmp_path / "int8.onnx", [], "minmax", True, "uint8", 7)
    assert not (tmp_path / "int8.onnx").exists()
