"""Pruning PyTorch models that declare which filters depend on each other.

A prunable model has ``architecture`` (a dataclass with ``channels`` by unit and ``build()``) and ``filter_groups()``. A
group has a ``name`` and

- ``units``: modules whose output channels are tied; the kernel of unit ``u`` is ``u.conv.weight``;
- ``readers``: (parameter, axis, blocks) of the tensors with an axis over those channels, block after block;
- ``along``: modules on the way to the readers whose output for 0 is not 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from compress.errors import CompressionError
from compress.pruning.measures import Batch
from compress.pruning.select import PruneSettings, Selection, is_spared, select
from compress.pruning.torch_hooks import hooked
from compress.pruning.torch_measures import measured


def prune(model: Any, settings: PruneSettings, batches: Iterable[Batch] = ()) -> tuple[Any, dict[str, Selection]]:
    """A narrower copy of a model with the weights of the filters that stay.

    Args:
        model: in evaluation mode.
        settings: how much to remove, and by which criterion.
        batches: for criteria that need data.

    Returns:
        The pruned model in evaluation mode, and the selections by group.

    Raises:
        CompressionError: there is nothing to prune, the model's groups do not fit the network, or the model lacks what the
            criterion needs.
    """
    state = model.state_dict()
    groups = model.filter_groups()
    if fault := next(_faults(groups, model.architecture.channels, state), None):
        raise CompressionError(f"{model.architecture.name}: filter_groups {fault}")
    kernels = {
        group.name: {unit: state[f"{unit}.conv.weight"].numpy(force=True) for unit in group.units} for group in groups
    }
    scored = [group for group in groups if not is_spared(group.units, settings.spare)]
    selections = select(kernels, settings, measured(model, scored, settings.measures, batches))
    return remove(model, selections), selections


def remove(model: Any, selections: Mapping[str, Selection]) -> Any:
    """A narrower copy of a model, in evaluation mode, with the weights of the selected filters; ``selections`` are by group.

    Raises:
        CompressionError: the model's groups do not fit the network.
    """
    state = model.state_dict()
    groups = model.filter_groups()
    channels = dict(model.architecture.channels)
    for group in groups:
        selection = selections[group.name]
        kept = torch.from_numpy(selection.kept)
        for unit in group.units:
            channels[unit] = len(kept)
            for name, tensor in state.items():
                if name.startswith(f"{unit}.") and tensor.ndim:
                    state[name] = tensor.index_select(0, kept)
        for name, axis, blocks in group.readers:
            positions = torch.cat([kept + block * selection.filters for block in range(blocks)])
            state[name] = state[name].index_select(axis, positions)
    pruned = replace(model.architecture, channels=channels).build()
    try:
        pruned.load_state_dict(state)
    except RuntimeError as error:
        raise CompressionError(f"{model.architecture.name}: filter_groups does not fit the network: {error}") from None
    return pruned.eval()


def layers(model: Any) -> dict[str, tuple[str | None, str | None]]:
    """The modules whose size depends on pruning, by name: the groups of filters that a module reads and gives.

    None means that pruning leaves the module's inputs, or its outputs, alone.
    """
    by_module: dict[str, tuple[str | None, str | None]] = {}
    for group in model.filter_groups():
        for unit in group.units:
            by_module[f"{unit}.conv"] = (by_module.get(f"{unit}.conv", (None, None))[0], group.name)
        for parameter, axis, _ in group.readers:
            module = parameter.rpartition(".")[0]
            reads, gives = by_module.get(module, (None, None))
            # Weights that combine other layers' channels, such as an attention's, may give the same channels again: axis 0.
            by_module[module] = (reads, group.name) if axis == 0 else (group.name, gives)
    return by_module


def filters(model: Any) -> dict[str, int]:
    """The number of filters of each group."""
    return {group.name: model.architecture.channels[group.units[0]] for group in model.filter_groups()}


def _faults(groups: Sequence[Any], channels: Mapping[str, int], state: Mapping[str, Tensor]) -> Iterator[str]:
    """The faults of a model's groups that names and sizes show."""
    seen: set[str] = set()
    for group in groups:
        for unit in group.units:
            if unit not in channels or f"{unit}.conv.weight" not in state:
                yield f"names the unit {unit}, which the architecture's channels or the network do not have"
                return
            if unit in seen:
                yield f"has the unit {unit} twice; units that share filters must be one group"
            seen.add(unit)
        filters = channels[group.units[0]]
        if any(channels[unit] != filters for unit in group.units):
            yield f"ties {', '.join(f'{unit} ({channels[unit]} filters)' for unit in group.units)}"
        for name, axis, blocks in group.readers:
            if name not in state:
                yield f"names {name}, which the network does not have"
                return
            size = state[name].shape[axis] if axis < state[name].ndim else 0
            if size != filters * blocks:
                yield f"says that axis {axis} of {name} has {blocks} x {filters} channels of {group.name}; it has {size}"


def masked_outputs(model: Any, selections: Mapping[str, Selection], inputs: Tensor) -> Tensor:
    """The full model's output when the outputs of all removed filters are set to zero.

    A filter's output is that of its whole unit, after batch norm and activation.
    """
    masks: dict[str, Tensor] = {}
    for group in model.filter_groups():
        selection = selections[group.name]
        mask = torch.zeros(selection.filters, dtype=inputs.dtype)
        mask[torch.from_numpy(selection.kept)] = 1
        masks |= dict.fromkeys((*group.units, *group.along), mask)
    with hooked(model, {unit: _multiply_by(mask) for unit, mask in masks.items()}), torch.inference_mode():
        return model(inputs)


def _multiply_by(mask: Tensor) -> Any:
    def hook(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        return output * mask.view(1, -1, *[1] * (output.ndim - 2))

    return hook


def proof_error(full: Any, pruned: Any, selections: Mapping[str, Selection], shape: tuple[int, ...]) -> float:
    """The greatest difference between the pruned and the masked full model on random input, relative to max |output|.

    The outputs compared are float64, where rounding makes a difference of about 1e-15 and a wrong cut a greater one. The
    models are compared twice, as they are and with leaky ReLUs: in a network of few filters the ReLUs may block all of the
    input, and then equal outputs would prove nothing.

    Args:
        full: the model before pruning.
        pruned: what :func:`prune` made of it.
        selections: the filters that stay, by group.
        shape: the shape of the input, [samples, frames, height, width]; its values are uniform in 0..1, like silhouettes.
    """
    inputs = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    dtypes = [next(model.parameters()).dtype for model in (full, pruned)]
    errors = []
    try:
        for context in (nullcontext(), _LeakyReLUs()):
            with context, torch.inference_mode():
                expected = masked_outputs(full.double(), selections, inputs)
                actual = pruned.double()(inputs)
            errors.append((actual - expected).abs().max() / expected.abs().max().clamp(min=1e-30))
    finally:
        full.to(dtypes[0])
        pruned.to(dtypes[1])
    return float(torch.stack(errors).max())


class _LeakyReLUs(TorchFunctionMode):
    """In this context every ReLU lets a part of negative values pass."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (F.relu, torch.relu, Tensor.relu):
            return F.leaky_relu(args[0], 0.2)
        return func(*args, **(kwargs or {}))
