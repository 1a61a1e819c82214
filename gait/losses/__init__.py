"""Training losses, one file for each; the file's name is the ``name`` of a term of ``loss`` in params.yaml.

A loss's file has a function ``compute(signatures, outputs, identities, **settings)``, in the framework of the models that
use it. Its keyword arguments are the settings of the term; the others are:

- ``signatures``: [batch, parts, channels].
- ``outputs``: the classifier's outputs for them; with PyTorch logits [batch, parts or 1, classes], or None for a network
  without a classifier; with Keras probabilities [batch, classes].
- ``identities``: [batch], class numbers; with PyTorch on the CPU, wherever the network is: counting pairs on a GPU would
  mean waiting for it. :func:`sent` copies them, and tensors made from them, to the network's device.

It returns the loss, a scalar, and a dictionary of other scalars, which become columns of the history.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gait.errors import DataError
from gait.keywords import check_keywords

if TYPE_CHECKING:
    import torch


class Term(NamedTuple):
    """One summand of a training loss: ``weight * compute(signatures, outputs, identities)[0]``."""

    name: str
    weight: float
    compute: Callable[[Any, Any, Any], tuple[Any, dict[str, Any]]]


def terms(described: Sequence[Mapping[str, Any]]) -> list[Term]:
    """The terms of a weighted sum.

    Args:
        described: for each term its ``name``, its ``weight`` and the settings of that loss.

    Raises:
        DataError: there is no such loss, or it does not take these settings.
    """
    return [_term(**term) for term in described]


def sent(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A copy of a tensor on a device, made without waiting for the device's earlier work."""
    if device.type == "cuda" and not values.is_cuda:
        values = values.pin_memory()  # a copy from pageable memory waits
    return values.to(device, non_blocking=True)


def source(name: str) -> Path:
    """The file of a loss.

    Raises:
        DataError: there is none.
    """
    folder = Path(__file__).parent
    if not (folder / f"{name}.py").is_file():
        known = sorted(path.stem for path in folder.glob("[a-z]*.py"))
        raise DataError(f"loss {name}: there is no gait/losses/{name}.py; there are: {', '.join(known)}")
    return folder / f"{name}.py"


def _term(name: str, weight: float, **settings: Any) -> Term:
    source(name)
    compute = importlib.import_module(f"gait.losses.{name}").compute
    check_keywords(f"loss {name}", compute, settings)
    return Term(name, weight, partial(compute, **settings))
