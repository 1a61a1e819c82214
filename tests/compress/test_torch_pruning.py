"""Pruning PyTorch models: what is cut is what was masked, for every model."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from compress.pruning import torch_surgery
from compress.pruning.select import PruneSettings
from gait.models.torch_model import TorchModel
from tests.published import LARGER, SMALLER, small

SETTINGS = PruneSettings(30, "mean-l1", "layer", 4, 4)
FORMS = {**SMALLER, "gaitgl, larger": LARGER["gaitgl"]}


def shape(model: TorchModel) -> tuple[int, ...]:
    return (1, 3, *model.frame_shape)


@pytest.fixture(scope="module", params=FORMS)
def dense(request: pytest.FixtureRequest) -> TorchModel:
    return small(FORMS[request.param])


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("percentile", [30, 90])
def test_the_pruned_network_equals_the_masked_one(dense: TorchModel, percentile: float, scope: str) -> None:
    pruned, selections = torch_surgery.prune(dense, replace(SETTINGS, percentile=percentile, scope=scope))
    assert torch_surgery.proof_error(dense, pruned, selections, shape(dense)) < 1e-10
    frames = torch.rand(1, 2, *dense.frame_shape)
    with torch.inference_mode():
        assert pruned(frames).shape == dense(frames).shape
    if dense.classifier:
        assert pruned.classifier(dense(frames)).shape == dense.classifier(dense(frames)).shape


def test_the_proof_finds_a_wrong_cut_of_any_group(dense: TorchModel) -> None:
    pruned, selections = torch_surgery.prune(dense, SETTINGS)
    for name, chosen in selections.items():
        others = np.arange(len(chosen.kept))
        if len(others) < chosen.filters and not np.array_equal(others, chosen.kept):
            wrong = {**selections, name: replace(chosen, kept=others)}
            assert torch_surgery.proof_error(dense, pruned, wrong, shape(dense)) > 1e-8, name


def test_every_filter_is_in_one_group(dense: TorchModel) -> None:
    units = [unit for group in dense.filter_groups() for unit in group.units]
    assert sorted(units) == sorted(dense.architecture.channels)
    convolutions = {
        name.removesuffix(".conv")
        for name, module in dense.named_modules()
        if isinstance(module, torch.nn.Conv2d | torch.nn.Conv3d)
    }
    assert set(units) == convolutions


def test_gaitset_has_832_filters() -> None:
    model = small(SMALLER["gaitset"], 1)
    assert sum(model.architecture.channels.values()) == 832


def test_pruning_leaves_the_dense_model_as_it_was(dense: TorchModel) -> None:
    before = {name: tensor.clone() for name, tensor in dense.state_dict().items()}
    pruned, selections = torch_surgery.prune(dense, SETTINGS)
    torch_surgery.proof_error(dense, pruned, selections, shape(dense))
    for name, tensor in dense.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor, before[name])
