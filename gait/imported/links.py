"""How tensors of a file become those of a PyTorch network, and their setting once everything fits."""

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
COUNTER = "num_batches_tracked"  # of batch norm, which older files do not have and evaluation does not need
PER_CHANNEL = ("weight", "bias", "running_mean", "running_var")


class Link(NamedTuple):
    """What one tensor of ours is made of.

    Attributes:
        ours: its name in the network's state.
        foreign: names in the file; several follow one another along axis 0.
        order: along ``axis``, entry i of ours is entry ``order[i]`` of theirs; None leaves the order as it is.
        axis: of the order.
    """

    ours: str
    foreign: tuple[str, ...]
    order: Tensor | None = None
    axis: int = 0


class Reading(NamedTuple):
    """How a file is read for a network: a link for each tensor, and notes for the user."""

    links: Sequence[Link]
    notes: Sequence[str] = ()


def same(modules: Mapping[str, str], ours: str, foreign: str) -> list[Link]:
    """Links between tensors called ``ours`` and ``foreign`` in modules, given as ours: theirs."""
    return [Link(f"{module}.{ours}", (f"{their}.{foreign}",)) for module, their in modules.items()]


def batch_norm(ours: str, foreign: str, order: Tensor | None = None) -> list[Link]:
    """Links for all tensors of a batch norm, the channels reordered."""
    counter = Link(f"{ours}.{COUNTER}", (f"{foreign}.{COUNTER}",))
    return [*(Link(f"{ours}.{name}", (f"{foreign}.{name}",), order) for name in PER_CHANNEL), counter]


def set_weights(model: TorchModel, tensors: Mapping[str, Tensor], reading: Reading, path: Path) -> list[str]:
    """Set a network's tensors to those of a file; after an error they are as before.

    The classifier, which only training needs, may be missing on either side or be for another number of identities.

    Args:
        model: the network.
        tensors: all of the file.
        reading: what goes where.
        path: of the file, for messages.

    Returns:
        Notes for the user.

    Raises:
        DataError: a tensor is missing, left over, of another shape or type, or not finite.
    """
    name, own = model.architecture.name, model.state_dict()
    classifier = [link for link in reading.links if link.ours.startswith(TRAINING_ONLY)]
    links = [link for link in reading.links if not (link.ours.startswith(TRAINING_ONLY) or _old(link, tensors))]
    fitting, aside, notes = _classifier(model, tensors, classifier)
    links += fitting
    needed = {foreign: _share(own[link.ours], link) for link in links for foreign in link.foreign}
    differing = differences(name, needed, {each: tensors[each].shape for each in tensors if each not in aside})
    if differing:
        raise DataError(f"{path} does not fit {differing}")
    unusable = [each for link in links for each in link.foreign if not _usable(tensors[each], own[link.ours].dtype)]
    if unusable:
        raise DataError(f"{path} holds other than finite floating-point numbers in {', '.join(unusable)}")
    model.load_state_dict(own | {link.ours: _value(tensors, link) for link in links})
    return [*reading.notes, *notes]


def _old(link: Link, tensors: Mapping[str, Tensor]) -> bool:
    """Whether it is for a counter that the file's batch norm did not have yet."""
    return link.ours.endswith(COUNTER) and link.foreign[0] not in tensors


def _classifier(
    model: TorchModel, tensors: Mapping[str, Tensor], links: Sequence[Link]
) -> tuple[list[Link], set[str], list[str]]:
    """The links of the classifier that can be followed, the names in the file that are set aside, notes for the user."""
    name, own, classes = model.architecture.name, model.state_dict(), model.architecture.classes
    fitting, other, left_out, missing = [], {}, set(), []
    for link in links:
        (foreign,) = link.foreign
        if link.ours not in own:
            left_out |= {foreign} & set(tensors)
        elif foreign not in tensors:
            missing += [] if _old(link, tensors) else [link.ours]
        elif note := for_other_identities(link.ours, own[link.ours].shape, tensors[foreign].shape, classes):
            other[foreign] = note
        else:
            fitting.append(link)
    notes = list(other.values())
    if left_out:
        notes.append(f"the file's classifier is left out, since {name} as configured has none")
    if missing:
        what = ", ".join(missing) if fitting or other else "the classifier"
        notes.append(f"{what}: not in the file, starts afresh")
    return fitting, {*other, *left_out}, notes


def _share(target: Tensor, link: Link) -> Sequence[int]:
    """The shape of each foreign tensor of a link."""
    if len(link.foreign) == 1:
        return target.shape
    return (len(target) // len(link.foreign), *target.shape[1:])


def _usable(tensor: Tensor, dtype: torch.dtype) -> bool:
    """Whether all of its numbers are finite in the network's type; counters may be of any."""
    right_kind = tensor.is_floating_point() or not dtype.is_floating_point
    return right_kind and bool(torch.isfinite(tensor.to(dtype)).all())


def _value(tensors: Mapping[str, Tensor], link: Link) -> Tensor:
    joined = torch.cat([tensors[name] for name in link.foreign]) if len(link.foreign) > 1 else tensors[link.foreign[0]]
    return joined if link.order is None else joined.index_select(link.axis, link.order)
