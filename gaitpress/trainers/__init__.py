"""Training, the same for a stage in either framework. A framework's module has these functions:

- ``joined()``: a context with this process, one of those that train together (a Keras model trains in one process).
- ``fit(model, store, train, entry, session)``, ``finetune(model, store, train, entry, finetune, session)``: train in place
  and return the history. ``session`` is what :meth:`gaitpress.sessions.Session.phase` gives.
- ``gradient_batches(model, store, train, entry)``: training batches without end, always the same ones. A batch is samples,
  and a function from the network's outputs for them to the training loss.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gait.data.prepared.sequences import SequenceStore
from gait.data.prepared.sets import TestSet
from gait.training.validation import RATE, Validation, kept
from gaitpress.frameworks import framework
from gaitpress.params.model import KerasModel, TorchModel

if TYPE_CHECKING:
    from gait.evaluation.signatures import Signatures


def trainer(name: str) -> ModuleType:
    """The module that trains the models of a framework: "torch" or "keras"."""
    framework(name)  # has to come first: it prepares the library's import
    return importlib.import_module(f"gaitpress.trainers.{name}_trainer")


def validation(
    entry: TorchModel | KerasModel,
    store: SequenceStore,
    test: TestSet | None,
    embed: Callable[[Any, SequenceStore, Sequence[int]], Signatures | None],
) -> Validation | None:
    """How a training is tested while it runs; None if nobody is set aside.

    Args:
        entry: the model's entry of `model` in params.yaml.
        store: where the sequences are.
        test: the test on people set aside.
        embed: makes signatures, as :mod:`gaitpress.embedders` has it.
    """
    if test is None or entry.validation is None:
        return None
    asked = entry.validation

    def signatures(model: Any) -> Signatures | None:
        return embed(model, store, test.positions)

    return Validation(asked.every, asked.keep, asked.patience, signatures, store.sequences, test)


def tested(entry: TorchModel | KerasModel, rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Figures of the weights that a training kept, if it was tested: "validation_rank1", and after which iteration (with
    Keras, epoch) they were: "kept_after".

    Args:
        entry: the model's entry of `model` in params.yaml.
        rows: the history of the training's last phase.
    """
    row = kept(entry.validation.keep, rows) if entry.validation else None
    counter = "epoch" if entry.framework == "keras" else "iteration"
    return {} if row is None else {RATE: row[RATE], "kept_after": row[counter]}


def sentence(figures: Mapping[str, float], rows: Sequence[Mapping[str, float]]) -> str:
    """What :func:`tested` returns, in words for the terminal; "" if there was no test."""
    if RATE not in figures:
        return ""
    return f"; weights after {figures['kept_after']} of {len(rows)}: rank-1 of people set aside {figures[RATE]:.1f} %"
