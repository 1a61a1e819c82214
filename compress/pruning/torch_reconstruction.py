"""Reconstruction of pruned PyTorch models: least squares finds new weights for layers that read pruned channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from compress.pruning.least_squares import ROWS, Convolution, LeastSquares, same_padding
from compress.pruning.select import Selection
from compress.pruning.torch_hooks import hooked

# Positions in the batch and along each axis; None: all.
Places = tuple[np.ndarray, ...] | None


class _Seen(Exception):
    """Ends a forward pass after the module that matters."""


def reconstruct(
    full: Any, pruned: Any, selections: Mapping[str, Selection], batches: Sequence[Tensor], seed: int
) -> dict[str, dict[str, float]]:
    """Solve the layers of a pruned model that read pruned channels, in place, from input to output.

    A layer is solved if it is a convolution without groups, a linear layer, or a linear map for each part: a module with a
    single ``weight`` [parts, inputs, outputs] that reads [batch, parts, inputs].

    Args:
        full: the model before pruning, in evaluation mode.
        pruned: what :func:`compress.pruning.torch_surgery.prune` made of it, in evaluation mode.
        selections: the filters that stay, by group.
        batches: batches of calibration data.
        seed: the seed for the random choice of outputs.

    Returns:
        For each layer that was solved, its error ``before`` and ``after``, as a share of the L2 norm of its outputs.
    """
    kept = {
        unit: selection.kept
        for selection in selections.values()
        if len(selection.kept) < selection.filters
        for unit in selection.units
    }
    if not kept:
        return {}
    readers = _readers(full, batches[0][:1], set(kept))
    chances = {name: np.random.default_rng(seed) for name in readers}
    # One pass of the full model for all its layers: only the outputs at few places are kept.
    wanted = [_wanted(full, readers, batch, ROWS // len(batches), chances) for batch in batches]
    errors = {}
    for name in readers:
        layer, kept_outputs = pruned.get_submodule(name), kept.get(name.removesuffix(".conv"))
        problems = [LeastSquares(weights) for weights in _matrices(layer)]
        for batch, of_batch in zip(batches, wanted, strict=True):
            places, targets = of_batch.pop(name)
            rows = _rows_of(layer, _input(pruned, name, batch), places)
            for problem, row, target in zip(problems, rows, targets, strict=True):
                problem.add(row, target if kept_outputs is None else target[:, kept_outputs])
        solved = [problem.solve() for problem in problems]
        _set(layer, [weights for weights, _, _ in solved])
        errors[name] = {
            "before": float(np.mean([before for _, before, _ in solved])),
            "after": float(np.mean([after for _, _, after in solved])),
        }
    return errors


def _readers(full: Any, example: Tensor, narrowed: set[str]) -> list[str]:
    """The modules that read channels of the narrowed units and can be solved, in the order in which they run."""
    weights = {
        reader.parameter
        for group in full.filter_groups()
        if narrowed.intersection(group.units)
        for reader in group.readers
        if reader.parameter.endswith(".weight")
    }
    candidates = {name.removesuffix(".weight") for name in weights}
    order: dict[str, None] = {}
    hooks = {name: lambda *_, name=name: order.setdefault(name) for name in candidates}
    with torch.inference_mode(), hooked(full, hooks):
        full(example)
    return [name for name in order if _is_linear(full.get_submodule(name))]


def _is_linear(module: nn.Module) -> bool:
    if isinstance(module, nn.modules.conv._ConvNd):
        return module.groups == 1 and not module.transposed and module.padding_mode == "zeros"
    return isinstance(module, nn.Linear) or _is_separate(module)


def _is_separate(module: nn.Module) -> bool:
    """Whether a module is a linear map for each part."""
    parameters = dict(module.named_parameters())
    return (
        set(parameters) == {"weight"} and parameters["weight"].ndim == 3 and not isinstance(module, nn.modules.conv._ConvNd)
    )


def _wanted(
    full: Any, names: Sequence[str], batch: Tensor, count: int, chances: Mapping[str, np.random.Generator]
) -> dict[str, tuple[Places, list[np.ndarray]]]:
    """For each module, some places of its outputs, and what the full model gives there without biases.

    A place is an output of a convolution, at most ``count`` of them; of other modules all outputs are taken, and the places
    are None. There is an array [places, outputs] for each matrix of :func:`_matrices`.
    """
    wanted: dict[str, tuple[Places, list[np.ndarray]]] = {}

    def keep(name: str, module: Any, args: tuple[Tensor, ...], output: Tensor) -> None:
        if name in wanted:
            return  # a module that runs twice is solved for the first time
        places = None
        if isinstance(module, nn.modules.conv._ConvNd):
            maps = args[0].shape
            places = convolution_of(module, maps[2:]).places(maps, count, chances[name])
        wanted[name] = places, _outputs_of(module, output, places)

    with torch.inference_mode(), hooked(full, {name: partial(keep, name) for name in names}):
        full(batch)
    return wanted


def _input(model: Any, name: str, batch: Tensor) -> Tensor:
    """A module's input, in a forward pass that ends there."""
    seen: list[Tensor] = []

    def stop(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append(args[0])  # without a copy: no later module runs that could write into it
        raise _Seen

    with torch.inference_mode(), hooked(model, {name: stop}), suppress(_Seen):
        model(batch)
    return seen[0]


def _matrices(module: Any) -> list[np.ndarray]:
    """A module's weights as matrices [inputs, outputs]: one, or one for each part."""
    weight = module.weight.numpy(force=True)
    return list(weight) if _is_separate(module) else [weight.reshape(len(weight), -1).T]


def _set(module: Any, matrices: Sequence[np.ndarray]) -> None:
    stacked = np.stack(matrices) if _is_separate(module) else matrices[0].T
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(stacked.reshape(module.weight.shape)))


def convolution_of(module: Any, sizes: Sequence[int]) -> Convolution:
    """The convolution that a PyTorch module computes on maps of these sizes."""
    kernel, stride, dilation = module.kernel_size, module.stride, module.dilation
    if module.padding == "same":
        padding = same_padding(sizes, kernel, stride, dilation)
    else:
        padding = [(zeros, zeros) for zeros in (module.padding if module.padding != "valid" else [0] * len(kernel))]
    return Convolution(kernel, stride, padding, dilation)


def _rows_of(module: Any, module_input: Tensor, places: Places) -> list[np.ndarray]:
    """What the places read, [places, inputs], for each matrix of a module."""
    inputs = module_input.numpy(force=True)
    if _is_separate(module):
        return list(np.moveaxis(inputs, 1, 0))
    if places is None:
        return [inputs.reshape(-1, inputs.shape[-1])]
    return [convolution_of(module, inputs.shape[2:]).rows(inputs, places)]


def _outputs_of(module: Any, module_output: Tensor, places: Places) -> list[np.ndarray]:
    """What the places give without the bias, [places, outputs], for each matrix of a module; a copy."""
    outputs = module_output.numpy(force=True)
    if _is_separate(module):
        return list(np.moveaxis(outputs, 1, 0).copy())
    outputs = outputs.reshape(-1, outputs.shape[-1]) if places is None else np.moveaxis(outputs, 1, -1)[places]
    bias = 0 if module.bias is None else module.bias.numpy(force=True)
    copied: np.ndarray = outputs - bias
    return [copied]
