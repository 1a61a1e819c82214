from dataclasses import replace

import numpy as np
import pytest
import torch

from compress.pruning import torch_surgery
from compress.pruning.select import PruneSettings
from gait.models import gaitset

SETTINGS = PruneSettings(30, "mean-l1", "layer", 4, 4)
SHAPE = (2, 3, 64, 44)


@pytest.fixture(scope="module")
def dense() -> gaitset.GaitSet:
    torch.manual_seed(0)
    return gaitset.build({"channels": [32, 64, 128], "embedding": 256, "bins": [16, 8, 4, 2, 1]}, 0.5).eval()


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("percentile", [0, 10, 30, 60, 90])
def test_the_pruned_network_equals_the_masked_one(dense, percentile: float, scope: str) -> None:
    pruned, selections = torch_surgery.prune(dense, replace(SETTINGS, percentile=percentile, scope=scope))
    assert torch_surgery.proof_error(dense, pruned, selections, SHAPE) < 1e-10
    with torch.inference_mode():
        assert pruned(torch.rand(1, 2, 64, 44)).shape == (1, 62, 128)


def test_the_proof_finds_a_wrong_cut(dense) -> None:
    pruned, selections = torch_surgery.prune(dense, SETTINGS)
    wrong = replace(selections["frame3"], kept=np.arange(len(selections["frame3"].kept)))
    assert torch_surgery.proof_error(dense, pruned, {**selections, "frame3": wrong}, SHAPE) > 1e-3


def test_every_convolution_of_gaitset_can_be_pruned() -> None:
    model = gaitset.build({"channels": [32, 64, 128], "embedding": 256, "bins": [16, 8, 4, 2, 1]}, 1)
    units = [unit for group in model.filter_groups() for unit in group.units]
    assert sorted(units) == sorted(model.architecture.channels)
    assert sum(model.architecture.channels[unit] for unit in units) == 832


def test_pruning_leaves_the_dense_model_as_it_was(dense) -> None:
    before = {name: tensor.clone() for name, tensor in dense.state_dict().items()}
    pruned, selections = torch_surgery.prune(dense, SETTINGS)
    torch_surgery.proof_error(dense, pruned, selections, SHAPE)
    for name, tensor in dense.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, before[name])
