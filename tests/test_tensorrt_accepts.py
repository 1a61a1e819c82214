"""Every model through TensorRT's real parser and compiler, in every precision, by the code that the stages run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import export
from compress.precision import half_precision, quantization
from compress.pruning import torch_surgery
from compress.pruning.select import PruneSettings
from gaitpress import forms
from gaitpress.params.quantize import Quantize
from remote.runtimes.tensorrt.trtexec import preflight
from stages.quantize import ways
from tests.support.families import some
from tests.support.published import SMALLER, small

pytestmark = pytest.mark.skipif(
    preflight.available() is None, reason="TensorRT's parser is not installed (make tensorrt-check)"
)
WIDTH, FRAMES, OPSET = 0.125, 30, 13
SETTINGS = PruneSettings(0, "mean-l1", "layer", 4, 4)
WAYS = ways(Quantize(calibration_sequences=1, method="minmax", per_channel=True))
LAYERS = (
    3.5  # the most that int8 may have of them for each of fp32, constants aside: TensorRT's parser makes some of each pair
)
FLOW = {
    "cnn2d": {"filters": [96, 192, 512, 512], "dense": 2048, "signature": 1024, "dropout": 0.4},
    "cnn3d": {"filters": [64, 128, 256, 512, 512, 512], "code": 1024, "signature": 1024},
    "cnn2plus1d": {"filters": [64, 128, 256, 512, 512, 512], "code": 1024, "signature": 1024},
}


def silhouettes(name: str, percentile: int, path: Path) -> list[int]:
    """Export a network for any number of frames and batches; the shape of one input."""
    model = small(SMALLER[name], WIDTH)
    pruned, _ = torch_surgery.prune(model, replace(SETTINGS, percentile=percentile))
    export.export_torch(pruned.eval(), path, ["batch", "frames", *model.frame_shape], OPSET)
    return [1, FRAMES, *model.frame_shape]


def flow(name: str, percentile: int, path: Path) -> list[int]:
    keras_surgery = pytest.importorskip("compress.pruning.keras_surgery", reason="needs TensorFlow")
    import keras

    from gait.models import cnn2d, cnn2plus1d, cnn3d
    from gait.networks import keras_model

    modules: dict[str, Any] = {"cnn2d": cnn2d, "cnn3d": cnn3d, "cnn2plus1d": cnn2plus1d}
    keras.utils.set_random_seed(0)
    pruned, _ = keras_surgery.prune(modules[name].build(FLOW[name], WIDTH, 3), replace(SETTINGS, percentile=percentile))
    export.export_keras(keras_model.signature_model(pruned), path, ["batch", 50, 60, 60], OPSET)
    return [1, 50, 60, 60]


def written(source: Path, shape: list[int], axes: list[int | str], folder: Path) -> Iterator[tuple[str, Path]]:
    """The files for TensorRT of each precision, with such axes."""
    rng = np.random.default_rng(0)
    data = [rng.random(shape, np.float32) for _ in range(2)]
    fixed = folder / "fp32.onnx"
    export.fix_axes(source, fixed, axes)
    yield "fp32", fixed
    half_precision.to_fp16(fixed, folder / "fp16.onnx", data[:1])
    yield "fp16", folder / "fp16.onnx"
    with quantization.calibrated(source, data, "minmax", True) as network:
        network.with_axes(fixed).write(folder / "int8.onnx", WAYS[forms.TENSORRT])
    yield "int8", folder / "int8.onnx"


def answers(name: str, percentile: int, free_frames: bool, batch: int, folder: Path) -> dict[str, dict[str, Any]]:
    """What TensorRT says of each precision of a network."""
    source = folder / "model.onnx"
    shape = (flow if name in FLOW else silhouettes)(name, percentile, source)
    axes: list[int | str] = ["batch" if batch > 1 else 1, *shape[1:]]
    least, most = list(shape), [batch, *shape[1:]]
    if free_frames and name not in FLOW:
        axes[1], least[1], most[1] = "frames", 1, 8 * FRAMES
    ranges = {export.INPUT: [least, shape, most]} if least != most else None
    return {
        precision: preflight.ask(file, compiled=True, ranges=ranges)
        for precision, file in written(source, shape, axes, folder)
    }


def check(by_precision: dict[str, dict[str, Any]]) -> None:
    assert {precision: answer["refusal"] for precision, answer in by_precision.items()} == dict.fromkeys(
        ("fp32", "fp16", "int8")
    )
    assert all(answer["bytes"] > 0 for answer in by_precision.values())
    assert by_precision["int8"]["computing"] <= LAYERS * by_precision["fp32"]["computing"]


@pytest.mark.parametrize("name", some(["gaitset", "gaitbase"], "gaitbase"))
def test_tensorrt_takes_every_precision_of_a_pruned_network(name: str, tmp_path: Path) -> None:
    check(answers(name, 60, False, 1, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("free_frames", [False, True])
@pytest.mark.parametrize("percentile", [0, 60])
@pytest.mark.parametrize("name", [*(name for name in SMALLER if name != "gln phase 2"), *FLOW])
def test_tensorrt_takes_every_model(name: str, percentile: int, free_frames: bool, batch: int, tmp_path: Path) -> None:
    if free_frames and name in FLOW:
        pytest.skip("optical flow has no free frames")
    check(answers(name, percentile, free_frames, batch, tmp_path))


def test_tensorrt_refuses_the_form_for_processors(tmp_path: Path) -> None:
    """What made all int8 of users fail: unsigned values with zero points, and biases in INT32."""
    shape = silhouettes("gaitbase", 60, tmp_path / "model.onnx")
    data = [np.random.default_rng(0).random(shape, np.float32)]
    with quantization.calibrated(tmp_path / "model.onnx", data, "minmax", True) as network:
        network.write(tmp_path / "cpu.onnx", WAYS[forms.CPU])
    assert "Int32" in preflight.ask(tmp_path / "cpu.onnx")["refusal"]
