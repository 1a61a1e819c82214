"""Every model by both scopes from 0 to 90 %: exact, smaller, and an ONNX file that runs and keeps the signature's shape."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compress import export
from compress.pruning import torch_surgery
from compress.pruning.select import PruneSettings, Selection
from gait.networks.torch_model import TorchModel
from tests.support.published import SMALLER, small

keras_surgery = pytest.importorskip("compress.pruning.keras_surgery", reason="needs TensorFlow")
import keras  # noqa: E402

from gait.models import cnn2d, cnn2plus1d, cnn3d  # noqa: E402
from gait.networks import keras_model  # noqa: E402

pytestmark = pytest.mark.slow
PERCENTILES = (0, 10, 30, 50, 70, 90)
SETTINGS = PruneSettings(0, "mean-l1", "layer", 1, 1)
FLOW = {
    "cnn2d": (cnn2d, {"filters": [96, 192, 512, 512], "dense": 2048, "signature": 1024, "dropout": 0.4}),
    "cnn3d": (cnn3d, {"filters": [64, 128, 256, 512, 512, 512], "code": 1024, "signature": 1024}),
    "cnn2plus1d": (cnn2plus1d, {"filters": [64, 128, 256, 512, 512, 512], "code": 1024, "signature": 1024}),
}
FLOW_SHAPE = (1, 50, 60, 60)


def filters(selections: dict[str, Selection]) -> int:
    return sum(len(selection.kept) for selection in selections.values())


def falls(counts: list[int]) -> bool:
    return all(more > fewer for more, fewer in pairwise(counts))


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("name", SMALLER)
def test_silhouette_models(name: str, scope: str, tmp_path: Path) -> None:
    dense: TorchModel = small(SMALLER[name])
    frames = torch.rand(1, 5, *dense.frame_shape)
    with torch.inference_mode():
        shape = dense(frames).shape
    counts, macs = [], []
    for percentile in PERCENTILES:
        pruned, selections = torch_surgery.prune(dense, replace(SETTINGS, percentile=percentile, scope=scope))
        assert torch_surgery.proof_error(dense, pruned, selections, (2, 3, *dense.frame_shape)) < 1e-10
        path = tmp_path / f"p{percentile}.onnx"
        export.export_torch(pruned, path, [1, "frames", *dense.frame_shape], 17)
        (computed,) = export.run(path, [frames.numpy()])
        with torch.inference_mode():
            expected = pruned(frames).numpy()
        assert computed.shape == shape
        assert export.relative_error([computed], [expected]) < 1e-4
        counts.append(filters(selections))
        macs.append(export.multiply_adds(path, [1, 5, *dense.frame_shape]))
    assert falls(counts), counts
    assert falls(macs), macs


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("name", FLOW)
def test_flow_models(name: str, scope: str, tmp_path: Path) -> None:
    module, architecture = FLOW[name]
    keras.utils.set_random_seed(0)
    dense: Any = module.build(architecture, 0.125, 3)
    shape = keras_model.signature_model(dense).output.shape[1:]
    samples = [np.random.default_rng(0).normal(size=FLOW_SHAPE).astype(np.float32)]
    counts, macs = [], []
    for percentile in PERCENTILES:
        pruned, selections = keras_surgery.prune(dense, replace(SETTINGS, percentile=percentile, scope=scope))
        assert keras_surgery.proof_error(dense, pruned, selections, (2, *FLOW_SHAPE[1:])) < 1e-10
        network, path = keras_model.signature_model(pruned), tmp_path / f"p{percentile}.onnx"
        export.export_keras(network, path, [*FLOW_SHAPE], 17)
        computed = export.run(path, samples)
        assert computed[0].shape[1:] == shape
        assert export.relative_error(computed, [np.asarray(network(samples[0]))]) < 1e-4
        counts.append(filters(selections))
        macs.append(export.multiply_adds(path, [*FLOW_SHAPE]))
    assert falls(counts), counts
    assert falls(macs), macs
