"""Links from the tensors of a file to those of a PyTorch network, which get their values once everything fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from gait.errors import DataError
from gait.imported.comparison import differences, for_other_identities
from gait.networks.torch_model import TorchModel

TRAINING_ONLY = "classifier."
COUNTER = "num_batches_tracked"  # of batch norm; older files lack it, and evaluation does not need it
PER_CHANNEL = ("weight", "bias", "running_mean", "running_var")


class Link(NamedTuple):
    """The tensors of a file that make one tensor of a network.

    Attributes:
        name: the tensor's name in the network's state.
        foreign: names in the file; several tensors follow one another along axis 0.
        order: along ``axis``, entry i of the network's is entry ``order[i]`` of the file's; None keeps the file's order.
        axis: the axis of the order.
        ones: the number of axes of length 1 that the file's tensor has at its end and the network's lacks.
    """

    name: str
    foreign: tuple[str, ...]
    order: Tensor | None = None
    axis: int = 0
    ones: int = 0


class Reading(NamedTuple):
    """A link for each tensor of a network, and notes for the user."""

    links: Sequence[Link]
    notes: Sequence[str] = ()


def same(modules: Mapping[str, str], name: str, foreign: str) -> list[Link]:
    """Links between the tensor ``name`` of each module and ``foreign`` of the file's module; ``modules`` pairs these."""
    return [Link(f"{module}.{name}", (f"{foreign_module}.{foreign}",)) for module, foreign_module in modules.items()]


def batch_norm(module: str, foreign: str, order: Tensor | None = None) -> list[Link]:
    """Links for all tensors of a batch norm, with the channels in ``order``."""
    counter = Link(f"{module}.{COUNTER}", (f"{foreign}.{COUNTER}",))
    return [*(Link(f"{module}.{name}", (f"{foreign}.{name}",), order) for name in PER_CHANNEL), counter]


def set_weights(model: TorchModel, tensors: Mapping[str, Tensor], reading: Reading, path: Path) -> list[str]:
    """Set a network's tensors to those of a file; after an error they are as before.

    The classifier, which only training needs, may be missing on either side or be for another number of identities.

    Args:
        model: the network.
        tensors: all tensors of the file.
        reading: the links.
        path: the file's path, for messages.

    Returns:
        Notes for the user.

    Raises:
        DataError: a tensor is missing, left over, of another shape or type, or not finite.
    """
    name, state = model.architecture.name, model.state_dict()
    classifier = [link for link in reading.links if link.name.startswith(TRAINING_ONLY)]
    links = [link for link in reading.links if not (link.name.startswith(TRAINING_ONLY) or _lacks_counter(link, tensors))]
    fitting, aside, notes = _classifier(model, tensors, classifier)
    links += fitting
    needed = {foreign: _share(state[link.name], link) for link in links for foreign in link.foreign}
    differing = differences(name, needed, {key: tensor.shape for key, tensor in tensors.items() if key not in aside})
    if differing:
        raise DataError(f"{path} does not fit {differing}")
    unusable = [key for link in links for key in link.foreign if not _usable(tensors[key], state[link.name].dtype)]
    if unusable:
        raise DataError(f"{path} holds other than finite floating-point numbers in {', '.join(unusable)}")
    model.load_state_dict(state | {link.name: _value(tensors, link) for link in links})
    return [*reading.notes, *notes]


def _lacks_counter(link: Link, tensors: Mapping[str, Tensor]) -> bool:
    """Whether the link is for a counter that the batch norm of an older file does not have."""
    return link.name.endswith(COUNTER) and link.foreign[0] not in tensors


def _classifier(
    model: TorchModel, tensors: Mapping[str, Tensor], links: Sequence[Link]
) -> tuple[list[Link], set[str], list[str]]:
    """The classifier's links that fit, the names in the file that are set aside, and notes for the user."""
    name, state, classes = model.architecture.name, model.state_dict(), model.architecture.classes
    fitting, other, left_out, missing = [], {}, set(), []
    for link in links:
        (foreign,) = link.foreign
        if link.name not in state:
            left_out |= {foreign} & set(tensors)
        elif foreign not in tensors:
            missing += [] if _lacks_counter(link, tensors) else [link.name]
        elif note := for_other_identities(link.name, state[link.name].shape, tensors[foreign].shape, classes):
            other[foreign] = note
        else:
            fitting.append(link)
    notes = list(other.values())
    if left_out:
        notes.append(f"the file's classifier is left out, since {name} as configured has none")
    if missing:
        subject = ", ".join(missing) if fitting or other else "the classifier"
        notes.append(f"{subject}: not in the file, starts afresh")
    return fitting, {*other, *left_out}, notes


def _share(target: Tensor, link: Link) -> Sequence[int]:
    """The shape of each foreign tensor of a link."""
    ones = (1,) * link.ones
    if len(link.foreign) == 1:
        return (*target.shape, *ones)
    return (len(target) // len(link.foreign), *target.shape[1:], *ones)


def _usable(tensor: Tensor, dtype: torch.dtype) -> bool:
    """Whether all numbers of a tensor are finite in the network's type; counters may be of any type."""
    right_kind = tensor.is_floating_point() or not dtype.is_floating_point
    return right_kind and bool(torch.isfinite(tensor.to(dtype)).all())


def _value(tensors: Mapping[str, Tensor], link: Link) -> Tensor:
    joined = torch.cat([tensors[name] for name in link.foreign]) if len(link.foreign) > 1 else tensors[link.foreign[0]]
    joined = joined.flatten(joined.ndim - 1 - link.ones) if link.ones else joined
    return joined if link.order is None else joined.index_select(link.axis, link.order)
