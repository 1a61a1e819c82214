"""After filters go, what read them is solved anew: never worse, and exact where the others can stand in for them."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from compress.pruning import torch_reconstruction, torch_surgery
from compress.pruning.least_squares import Convolution, LeastSquares, same_padding
from compress.pruning.select import PruneSettings
from gait.networks.torch_model import TorchModel
from tests.support.families import some
from tests.support.published import SMALLER, small

SETTINGS = PruneSettings(50, "mean-l1", "layer", 4, 4)


def silhouettes(model: TorchModel, seed: int) -> torch.Tensor:
    return torch.rand(4, 3, *model.frame_shape, generator=torch.Generator().manual_seed(seed))


def error(full: TorchModel, pruned: TorchModel, frames: torch.Tensor) -> float:
    with torch.inference_mode():
        expected = full(frames)
        return float((pruned(frames) - expected).norm() / expected.norm())


@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 99))
def test_a_solution_is_as_good_as_it_says_and_no_worse_than_before(inputs: int, outputs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(inputs, outputs))
    batches = [(rng.normal(size=(9, inputs)), rng.normal(size=(9, outputs))) for _ in range(2)]
    problem = LeastSquares(weights)
    for rows, targets in batches:
        problem.add(rows, targets)
    solved, before, after = problem.solve()
    rows, targets = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    length = np.linalg.norm(targets)
    assert before == pytest.approx(np.linalg.norm(targets - rows @ weights) / length)
    assert after == pytest.approx(np.linalg.norm(targets - rows @ solved) / length, abs=1e-9)
    assert after <= before + 1e-9


def test_much_data_give_the_least_error_that_there_is() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(4000, 5))
    targets = rows @ rng.normal(size=(5, 3)) + 0.1 * rng.normal(size=(4000, 3))
    problem = LeastSquares(rng.normal(size=(5, 3)))
    problem.add(rows, targets)
    least = targets - rows @ np.linalg.lstsq(rows, targets, rcond=None)[0]
    assert problem.solve()[2] == pytest.approx(np.linalg.norm(least) / np.linalg.norm(targets), rel=1e-3)


@given(st.integers(2, 12), st.integers(0, 99))
def test_few_rows_of_noise_do_not_drive_good_weights_away(rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    right = rng.normal(size=(20, 3))
    reads = rng.normal(size=(rows, 20))
    problem = LeastSquares(right)
    problem.add(reads, reads @ right + 3 * rng.normal(size=(rows, 3)))
    others = rng.normal(size=(500, 20))
    drift = np.linalg.norm(others @ (problem.solve()[0] - right)) / np.linalg.norm(others @ right)
    assert drift < 1


def test_weights_that_data_say_nothing_about_stay() -> None:
    problem = LeastSquares(np.array([[1.0], [7.0]]))
    problem.add(np.array([[2.0, 0.0], [4.0, 0.0], [3.0, 0.0]]), np.array([[6.0], [12.0], [9.0]]))
    solved, _, _ = problem.solve()
    assert solved[:, 0] == pytest.approx([3, 7], rel=2e-3)


@pytest.mark.parametrize(
    ("kind", "sizes", "settings"),
    [
        (nn.Conv1d, (11,), {"kernel_size": 3, "padding": 2, "dilation": 2}),
        (nn.Conv2d, (9, 7), {"kernel_size": (5, 3), "stride": (2, 1), "padding": (2, 0)}),
        (nn.Conv2d, (9, 7), {"kernel_size": 3, "padding": "same", "dilation": 2}),
        (nn.Conv3d, (5, 6, 4), {"kernel_size": (3, 1, 2), "stride": (1, 2, 1), "padding": (1, 0, 1)}),
    ],
)
def test_rows_times_a_kernel_are_pytorchs_convolution(kind, sizes, settings) -> None:
    layer = kind(3, 4, bias=False, dtype=torch.float64, **settings)
    maps = torch.rand(2, 3, *sizes, dtype=torch.float64)
    convolution = torch_reconstruction.convolution_of(layer, sizes)
    places = convolution.places(maps.shape, 10, np.random.default_rng(0))
    expected = np.moveaxis(layer(maps).numpy(force=True), 1, -1)[places]
    kernel = layer.weight.numpy(force=True).reshape(4, -1).T
    assert len(expected) == 10
    np.testing.assert_allclose(convolution.rows(maps.numpy(), places) @ kernel, expected, rtol=1e-12)


def test_zeros_of_same_padding_give_one_output_a_stride() -> None:
    assert same_padding((7, 8), (3, 2), (2, 2), (1, 1)) == [(1, 1), (0, 0)]
    assert same_padding((5,), (1,), (3,), (1,)) == [(0, 0)]
    assert Convolution((3,), (2,), [(1, 1)], (1,)).rows(
        np.arange(3.0)[None, None], (np.array([0]), np.array([1]))
    ).tolist() == [[1, 2, 0]]


@pytest.mark.parametrize("name", some(SMALLER, "gaitset", "gaitgl", "gaitbase", "deepgaitv2 p3d"))
def test_no_layer_of_any_model_is_worse_than_before(name: str) -> None:
    full = small(SMALLER[name])
    pruned, selections = torch_surgery.prune(full, SETTINGS)
    before = error(full, pruned, silhouettes(full, 9))
    errors = torch_reconstruction.reconstruct(full, pruned, selections, [silhouettes(full, seed) for seed in (1, 2)], seed=0)
    assert errors
    assert all(of_layer["after"] <= of_layer["before"] for of_layer in errors.values())
    assert error(full, pruned, silhouettes(full, 9)) < before  # on frames that it did not see


def test_filters_that_others_repeat_are_made_up_for() -> None:
    full = small(SMALLER["gaitset"])
    with torch.no_grad():
        for unit in ("frame1", "frame3", "frame5"):
            kernel = full.get_submodule(unit).conv.weight
            half = len(kernel) // 2
            kernel[half:] = kernel[:half] * 0.5  # smaller, so that these go; leaky ReLUs keep the factor
    others = replace(SETTINGS, round_to=1, keep_min=1, spare=["frame2", "frame4", "frame6", "global*"])
    pruned, selections = torch_surgery.prune(full, others)
    assert [len(chosen.kept) for chosen in selections.values() if not chosen.spared] == [
        selections[name].filters // 2 for name in ("frame1", "frame3", "frame5")
    ]
    assert error(full, pruned, silhouettes(full, 9)) > 0.05
    torch_reconstruction.reconstruct(full, pruned, selections, [silhouettes(full, seed) for seed in (1, 2)], seed=0)
    assert error(full, pruned, silhouettes(full, 9)) < 0.01


def test_the_same_seed_gives_the_same_weights_and_nothing_changes_without_pruning() -> None:
    full = small(SMALLER["gaitset"])
    pruned, selections = torch_surgery.prune(full, SETTINGS)
    again = copy.deepcopy(pruned)
    for network in (pruned, again):
        torch_reconstruction.reconstruct(full, network, selections, [silhouettes(full, 1)], seed=0)
    assert all(torch.equal(one, other) for one, other in zip(pruned.parameters(), again.parameters(), strict=True))
    whole, all_kept = torch_surgery.prune(full, replace(SETTINGS, percentile=0))
    assert torch_reconstruction.reconstruct(full, whole, all_kept, [silhouettes(full, 1)], seed=0) == {}
    assert all(torch.equal(one, other) for one, other in zip(full.parameters(), whole.parameters(), strict=True))
