"""What criteria need of PyTorch networks beside weights: effects on a loss, scales of batch norms, products of outputs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from compress.errors import CompressionError
from compress.pruning import measures, torch_surgery
from compress.pruning.select import PruneSettings
from compress.pruning.torch_hooks import hooked
from compress.pruning.torch_measures import measured
from gait.networks.torch_model import TorchModel
from tests.support.published import LARGER, SMALLER, small

SETTINGS = PruneSettings(30, "taylor", "layer", 1, 1)
FORMS = {**SMALLER, "gaitgl, larger": LARGER["gaitgl"]}
STEP = 1e-7  # small, so that no maximum changes its place within it


def losses_by_sample(signatures: Tensor) -> Tensor:
    """[samples]: smooth, and of every part and channel in a way of its own."""
    weights = torch.linspace(0.5, 1.5, signatures[0].numel(), dtype=signatures.dtype)
    return (torch.sin(3 * signatures).flatten(1) * weights).mean(1)


def loss(signatures: Tensor) -> Tensor:
    return losses_by_sample(signatures).sum()


def batch(model: TorchModel, samples: int = 2, frames: int = 4, seed: int = 0) -> Tensor:
    shape = (samples, frames, *model.frame_shape)
    kind = next(model.parameters()).dtype
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(kind)


def scaled(model: TorchModel, unit: str, position: int, factor: float) -> TorchModel:
    """A copy in which one filter's output, after batch norm and leaky ReLU, is multiplied by a positive factor."""
    other = copy.deepcopy(model)
    module = other.get_submodule(unit)
    with torch.no_grad():
        for parameter in (module.bn.weight, module.bn.bias) if hasattr(module, "bn") else (module.conv.weight,):
            parameter[position] *= factor
    return other


@pytest.mark.parametrize(
    "form", [form if form in ("gaitset", "gaitbase") else pytest.param(form, marks=pytest.mark.slow) for form in FORMS]
)
def test_effects_are_the_losses_derivatives_by_a_factor_on_the_filters_output(form: str) -> None:
    model = small(FORMS[form]).double()
    samples = batch(model)
    by_group = measured(model, model.filter_groups(), ["effects"], [(samples, loss)])["effects"]
    assert list(by_group) == [group.name for group in model.filter_groups()]
    for group in model.filter_groups():
        for unit in group.units:
            effects = by_group[group.name][unit]
            assert effects.shape == (2, model.architecture.channels[unit])
            position = int(np.abs(effects).sum(0).argmax())
            with torch.inference_mode():
                more, less = (
                    losses_by_sample(scaled(model, unit, position, 1 + step)(samples)).numpy() for step in (STEP, -STEP)
                )
            expected = (more - less) / (2 * STEP)
            assert effects[:, position] == pytest.approx(expected, rel=1e-4, abs=1e-9), unit
            assert np.abs(expected).max() > 1e-7  # or it would say nothing


def test_a_filter_that_the_loss_does_not_see_goes_first() -> None:
    model = small(SMALLER["gaitset"], 0.25)
    dead = 3
    with torch.no_grad():
        model.frame2.conv.weight[:, dead] = 0  # all that reads frame1
        model.frame1.conv.weight[dead] *= 100  # which its weights do not tell
    how = replace(SETTINGS, percentile=5)
    _, by_effect = torch_surgery.prune(model, how, [(batch(model), loss)])
    _, by_weight = torch_surgery.prune(model, replace(how, criterion="l1"))
    assert set(range(8)) - set(by_effect["frame1"].kept) == {dead}
    assert dead in by_weight["frame1"].kept


def test_taylor_is_the_mean_over_samples_of_absolute_effects_and_over_tied_units() -> None:
    model = small(SMALLER["gaitset"], 0.25)
    samples = batch(model, 3)
    (group,) = (group for group in model.filter_groups() if len(group.units) == 2 and group.name == "frame4")
    how = replace(SETTINGS, percentile=40)
    effects = measured(model, [group], ["effects"], [(samples, loss)])["effects"]["frame4"]
    scores = np.mean([np.abs(effects[unit]).mean(0) for unit in ("frame4", "global2")], axis=0)
    _, selections = torch_surgery.prune(model, how, [(samples, loss)])
    assert selections["frame4"].threshold == np.percentile(scores, 40)
    assert selections["frame4"].kept.tolist() == np.flatnonzero(scores >= np.percentile(scores, 40)).tolist()


def test_the_network_stays_as_it_was_and_the_same_batches_give_the_same_effects() -> None:
    model = small(SMALLER["gaitbase"])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    inputs = batch(model)
    with torch.inference_mode():
        signatures = model(inputs)
    one, other = (measured(model, model.filter_groups(), ["effects"], [(inputs, loss)])["effects"] for _ in range(2))
    for name, units in one.items():
        for unit, effects in units.items():
            assert np.array_equal(effects, other[name][unit])
    assert not model.training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    with torch.inference_mode():
        assert torch.equal(model(inputs), signatures)


def test_batches_are_taken_until_there_are_samples_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "SAMPLES", 5)
    model = small(SMALLER["gaitset"])
    taken: list[int] = []

    def endless() -> Any:
        while True:
            taken.append(len(taken))
            yield batch(model, 2, seed=taken[-1]), loss

    groups = model.filter_groups()[:1]
    effects = measured(model, groups, ["effects"], endless())["effects"]["frame1"]["frame1"]
    assert len(taken) == 3
    assert len(effects) == 6
    (alone,) = measured(model, groups, ["effects"], [(batch(model, 2, seed=1), loss)]).values()
    assert np.array_equal(effects[2:4], alone["frame1"]["frame1"])


@pytest.mark.parametrize("form", FORMS)
def test_products_are_of_all_outputs_and_of_all_weights_that_read_them(form: str) -> None:
    model = small(FORMS[form])
    samples = batch(model)
    dead = 1
    groups = model.filter_groups()
    state = model.state_dict()
    squares: dict[str, float] = {}

    def add(name: str) -> Callable[..., None]:
        def hook(module: Any, args: Any, output: Tensor) -> None:
            squares[name] = squares.get(name, 0) + float(output.double().square().sum())

        return hook

    with torch.no_grad():
        for name, axis, blocks in groups[0].readers:
            if axis:
                state[name].select(axis, dead + (blocks - 1) * len(state[f"{groups[0].units[0]}.conv.weight"])).zero_()
    with hooked(model, {unit: add(unit) for group in groups for unit in group.units}), torch.inference_mode():
        model(samples)
    by_measure = measured(model, groups, ["outputs", "readers"], [(samples[:1], loss), (samples[1:], loss)])
    for group in groups:
        outputs, readers = (by_measure[name][group.name] for name in ("outputs", "readers"))
        first = group.units[0]
        assert outputs[first].trace() == pytest.approx(sum(squares[unit] for unit in group.units), rel=1e-4)
        weights = [state[name].double() for name, axis, _ in group.readers if axis]
        assert readers[first].trace() == pytest.approx(sum(float(weight.square().sum()) for weight in weights))
        for products in (outputs, readers):
            assert all(np.array_equal(products[unit], products[first]) for unit in group.units)
            assert np.allclose(products[first], products[first].T)
    (of_first, blocks) = (
        by_measure["readers"][groups[0].name][groups[0].units[0]],
        {reader[2] for reader in groups[0].readers},
    )
    assert blocks != {1} or not of_first[dead].any()


def test_a_filter_that_another_repeats_goes_first_by_the_reconstruction_error() -> None:
    model = small(SMALLER["gaitset"], 0.25)
    with torch.no_grad():
        model.frame3.conv.weight[4] = 3 * model.frame3.conv.weight[2]
    how = replace(SETTINGS, percentile=5, criterion="reconstruction-error")
    _, selections = torch_surgery.prune(model, how, [(batch(model, 6), loss)])
    assert len(set(range(16)) - set(selections["frame3"].kept) & {2, 4}) == 1


@pytest.mark.parametrize("mode", ["percentile", "published"])
def test_scales_are_the_gammas_of_the_batch_norms(mode: str) -> None:
    model = small(SMALLER["gaitbase"])
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.normal_()
    _, selections = torch_surgery.prune(model, replace(SETTINGS, criterion="batch-norm", percentile=50, mode=mode))
    if mode == "published":  # which uses no criterion
        _, expected = torch_surgery.prune(model, replace(SETTINGS, criterion="l1", percentile=50, mode=mode))
        assert all(np.array_equal(chosen.kept, expected[name].kept) for name, chosen in selections.items())
        return
    state = model.state_dict()
    for name, selection in selections.items():
        scores = np.mean([state[f"{unit}.bn.weight"].abs().double().numpy() for unit in selection.units], axis=0)
        assert selection.threshold == pytest.approx(np.median(scores))
        assert selection.kept.tolist() == np.flatnonzero(scores >= selection.threshold).tolist(), name


def test_a_layer_without_batch_norm_is_named_unless_it_is_spared() -> None:
    model = small(SMALLER["gaitset"])
    how = replace(SETTINGS, criterion="batch-norm")
    with pytest.raises(CompressionError) as caught:
        torch_surgery.prune(model, how)
    assert str(caught.value) == (
        "layer frame1: no batch norm with a scale follows its convolution, and prune.criterion needs one; "
        "take another criterion, or name the layer under prune.spare"
    )
    with pytest.raises(CompressionError, match="layer global1: no batch norm"):
        torch_surgery.prune(model, replace(how, spare=["frame*", "global[24]"]))
    for criterion in ("batch-norm", "taylor", "reconstruction-error"):
        _, selections = torch_surgery.prune(model, replace(how, criterion=criterion, spare=["*"]))
        assert all(selection.spared for selection in selections.values())


def nothing(signatures: Tensor) -> Tensor:
    return 0 * signatures.sum()


@pytest.mark.parametrize(
    ("of_batch", "message"),
    [(None, "needs training batches, and there are none"), (nothing, "the training loss of 2 samples depends on no filter")],
)
def test_a_loss_that_says_nothing_of_any_filter_is_reported(
    of_batch: Callable[[Tensor], Tensor] | None, message: str
) -> None:
    model = small(SMALLER["gaitset"])
    with pytest.raises(CompressionError, match=message):
        torch_surgery.prune(model, SETTINGS, [] if of_batch is None else [(batch(model), of_batch)])
