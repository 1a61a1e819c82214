"""Pruning PyTorch models: what is cut is what was masked, for every model."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from compress.errors import CompressionError
from compress.pruning import torch_surgery
from compress.pruning.select import PruneSettings
from gait.models.gaitset import GaitSet
from gait.networks.torch_model import TorchModel
from tests.support.families import some
from tests.support.published import LARGER, SMALLER, small

SETTINGS = PruneSettings(30, "mean-l1", "layer", 4, 4)
FORMS = {**SMALLER, **{name: LARGER[name] for name in ("gaitgl bnneck", "baseline, three poolings")}}


def shape(model: TorchModel) -> tuple[int, ...]:
    return (2, 3, *model.frame_shape)


@pytest.fixture(scope="module", params=FORMS)
def dense(request: pytest.FixtureRequest) -> TorchModel:
    return small(FORMS[request.param])


@pytest.mark.parametrize(
    ("percentile", "how"),
    some(
        [
            (10, replace(SETTINGS, scope="global", criterion="l1", round_to=1, keep_min=1)),
            (50, SETTINGS),
            (50, replace(SETTINGS, scope="global", criterion="random", round_to=1, keep_min=1)),
            (90, replace(SETTINGS, criterion="l2", round_to=1, keep_min=1)),
            (90, replace(SETTINGS, mode="published")),
        ],
        (50, SETTINGS),
        (90, replace(SETTINGS, criterion="l2", round_to=1, keep_min=1)),
    ),
    ids=lambda value: f"{value.mode}-{value.scope}-{value.criterion}" if isinstance(value, PruneSettings) else None,
)
def test_the_pruned_network_equals_the_masked_one(dense: TorchModel, percentile: float, how: PruneSettings) -> None:
    pruned, selections = torch_surgery.prune(dense, replace(how, percentile=percentile))
    assert torch_surgery.proof_error(dense, pruned, selections, shape(dense)) < 1e-13
    for selection in selections.values():
        assert {pruned.architecture.channels[unit] for unit in selection.units} == {len(selection.kept)}
    frames = torch.rand(1, 2, *dense.frame_shape)
    with torch.inference_mode():
        assert pruned(frames).shape == dense(frames).shape
    if dense.classifier:
        assert pruned.classifier(dense(frames)).shape == dense.classifier(dense(frames)).shape


@pytest.mark.parametrize(
    "dense",
    some(FORMS, "gaitset", "gaitgl", "gaitbase", "deepgaitv2 p3d", "gaitpart"),
    indirect=True,
)
def test_the_proof_finds_a_wrong_cut_of_any_group(dense: TorchModel) -> None:
    pruned, selections = torch_surgery.prune(dense, SETTINGS)
    for name, chosen in selections.items():
        others = np.arange(len(chosen.kept))
        if len(others) < chosen.filters and not np.array_equal(others, chosen.kept):
            wrong = {**selections, name: replace(chosen, kept=others)}
            assert torch_surgery.proof_error(dense, pruned, wrong, shape(dense)) > 1e-8, name


@pytest.mark.parametrize("mode", some(["percentile", "published"], "percentile"))
def test_percentile_0_gives_the_identical_network(dense: TorchModel, mode: str) -> None:
    pruned, selections = torch_surgery.prune(dense, replace(SETTINGS, percentile=0, mode=mode))
    assert pruned.architecture == dense.architecture
    state = pruned.state_dict()
    assert all(torch.equal(state.pop(name), tensor) for name, tensor in dense.state_dict().items())
    assert not state
    assert torch_surgery.proof_error(dense, pruned, selections, shape(dense)) == 0


def test_spared_layers_keep_all_filters_and_the_others_go(dense: TorchModel) -> None:
    groups = dense.filter_groups()
    # By the last unit's name, which is not the group's where several are tied.
    how = replace(SETTINGS, percentile=50, round_to=1, keep_min=1, spare=[groups[-1].units[-1]])
    pruned, selections = torch_surgery.prune(dense, how)
    assert [name for name, selection in selections.items() if selection.spared] == [groups[-1].name]
    assert all(selection.spared == (len(selection.kept) == selection.filters) for selection in selections.values())
    assert torch_surgery.proof_error(dense, pruned, selections, shape(dense)) < 1e-13


class Untied(GaitSet):
    """A GaitSet that says that its branches' filters may go each by themselves, although their outputs are added."""

    def filter_groups(self):
        return [
            replace(group, units=(unit,), readers=group.readers if unit == group.units[0] else ())
            for group in super().filter_groups()
            for unit in group.units
        ]


class Unread(GaitSet):
    """A GaitSet that forgets that global3 reads what frame4 and global2 give."""

    def filter_groups(self):
        return [replace(group, readers=group.readers[:1]) for group in super().filter_groups()]


def gaitset(kind: type[GaitSet]) -> GaitSet:
    model = kind(small(SMALLER["gaitset"], 0.25).architecture)
    model.load_state_dict(small(SMALLER["gaitset"], 0.25).state_dict())
    return model.eval()


def test_the_proof_fails_for_groups_that_should_be_one() -> None:
    model = gaitset(Untied)
    pruned, selections = torch_surgery.prune(model, SETTINGS)
    assert len(selections) == 10
    # Of the same number, so that the network runs; but other filters.
    assert not np.array_equal(selections["frame4"].kept, selections["global2"].kept)
    assert torch_surgery.proof_error(model, pruned, selections, shape(model)) > 1e-3


def test_a_forgotten_reader_is_reported() -> None:
    with pytest.raises(CompressionError, match="gaitset: filter_groups does not fit the network"):
        torch_surgery.prune(gaitset(Unread), SETTINGS)


def test_the_input_of_the_proof_reaches_every_part_of_the_signature(dense: TorchModel) -> None:
    inputs = torch.rand(shape(dense), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        one, other = dense.double()(inputs)
    dense.float()
    assert ((one - other).abs().amax(1) > 1e-6 * one.abs().max()).all()


def test_the_proof_sees_a_wrong_cut_where_no_relu_lets_anything_pass() -> None:
    model = small(SMALLER["gaitbase"])
    with torch.no_grad():
        model.stem.bn.bias.fill_(-100)  # all is negative after the first layer
    pruned, selections = torch_surgery.prune(model, replace(SETTINGS, percentile=50))
    wrong = {**selections, "block1.conv1": replace(selections["block1.conv1"], kept=np.arange(4))}
    assert torch_surgery.proof_error(model, pruned, selections, shape(model)) < 1e-13
    assert torch_surgery.proof_error(model, pruned, wrong, shape(model)) > 1e-8


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
