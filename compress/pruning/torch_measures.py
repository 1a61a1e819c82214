"""What criteria need from a PyTorch network besides its weights, for the groups of :mod:`compress.pruning.torch_surgery`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from compress.errors import CompressionError
from compress.pruning import measures
from compress.pruning.criteria import Measured
from compress.pruning.measures import Batch
from compress.pruning.torch_hooks import hooked


def measured(model: Any, groups: Sequence[Any], quantities: Iterable[str], batches: Iterable[Batch]) -> Measured:
    """Each quantity by group and unit, as :mod:`compress.pruning.criteria` describes it.

    Args:
        model: the network, in evaluation mode; it is left as it was.
        groups: the groups to measure.
        quantities: some of :data:`compress.pruning.criteria.MEASURED`.
        batches: training batches, for effects and outputs. The first axis of a unit's output has the samples, or several
            items of each sample, such as its frames, sample after sample.

    Raises:
        CompressionError: a layer has no batch norm, or :func:`compress.pruning.measures.effects` raises it.
    """
    units = [unit for group in groups for unit in group.units]
    measure = {
        "scales": lambda: _scales(model, units),
        "effects": lambda: _effects(model, units, batches),
        "outputs": lambda: _outputs(model, groups, batches),
        "readers": lambda: _readers(model, groups),
    }
    return measures.measured(quantities, {group.name: group.units for group in groups}, measure)


def _scales(model: Any, units: Sequence[str]) -> dict[str, np.ndarray]:
    scales = {}
    for unit in units:
        module = model.get_submodule(unit)
        norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.affine]
        if len(norms) != 1 or len(norms[0].weight) != len(module.conv.weight):
            raise measures.no_batch_norm(unit)
        scales[unit] = norms[0].weight.numpy(force=True).astype(np.float64)
    return scales


def _effects(model: Any, units: Sequence[str], batches: Iterable[Batch]) -> dict[str, np.ndarray]:
    def of_batch(batch: Batch) -> dict[str, np.ndarray]:
        samples, loss = batch
        factors = {unit: _ones(model.get_submodule(unit), samples) for unit in units}
        hooks = {unit: _multiply_by(unit, factor) for unit, factor in factors.items()}
        with hooked(model, hooks), torch.enable_grad():
            # The derivatives with respect to factors of 1 are the effects, and need no copies of activations.
            gradients = torch.autograd.grad(loss(model(samples)), list(factors.values()), materialize_grads=True)
        return {unit: gradient.numpy(force=True) for unit, gradient in zip(units, gradients, strict=True)}

    return measures.effects(batches, of_batch)


def _outputs(model: Any, groups: Sequence[Any], batches: Iterable[Batch]) -> dict[str, np.ndarray]:
    def of_batch(samples: Tensor) -> dict[str, np.ndarray]:
        by_unit: dict[str, np.ndarray] = {}

        def add(unit: str) -> Any:
            def hook(module: nn.Module, args: Any, output: Tensor) -> None:
                maps = output.flatten(2)
                # Each item's sums in float32, and all items' in float64.
                sums = torch.bmm(maps, maps.transpose(1, 2)).double().sum(0).numpy(force=True)
                by_unit[unit] = by_unit.get(unit, 0) + sums

            return hook

        with hooked(model, {unit: add(unit) for group in groups for unit in group.units}), torch.inference_mode():
            model(samples)
        return {group.name: np.sum([by_unit[unit] for unit in group.units], axis=0) for group in groups}

    by_group = measures.products(batches, of_batch)
    return {unit: by_group[group.name] for group in groups for unit in group.units}


def _readers(model: Any, groups: Sequence[Any]) -> dict[str, np.ndarray]:
    state = model.state_dict()
    by_unit: dict[str, np.ndarray] = {}
    for group in groups:
        filters = len(state[f"{group.units[0]}.conv.weight"])
        tensors = [
            block
            for name, axis, blocks in group.readers
            if axis  # on axis 0 are weights that give the channels again, and not ones that read them
            for block in state[name].movedim(axis, 0).numpy(force=True).reshape(blocks, filters, -1)
        ]
        by_unit |= dict.fromkeys(group.units, measures.weight_products(tensors))
    return by_unit


def _ones(module: Any, samples: Tensor) -> Tensor:
    return samples.new_ones((len(samples), len(module.conv.weight)), requires_grad=True)


def _multiply_by(unit: str, factors: Tensor) -> Any:
    def hook(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        items, rest = divmod(len(output), len(factors))
        if rest:
            raise CompressionError(
                f"layer {unit}: gives {len(output)} maps for {len(factors)} samples; it must be a multiple"
            )
        spread = factors[:, None].expand(-1, items, -1).reshape(len(output), -1, *[1] * (output.ndim - 2))
        return output * spread

    return hook
