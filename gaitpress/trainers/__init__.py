"""Training, the same for a stage in either framework. A framework's module has these functions:

- ``joined()``: a context with this process, one of those that train together (a Keras model trains in one process).
- ``fit(model, store, train, entry, session)``, ``finetune(model, store, train, entry, finetune, session)``: train in place
  and return the history. ``session`` is what :meth:`gaitpress.sessions.Session.phase` gives.
- ``gradient_batches(model, store, train, entry)``: training batches without end, always the same ones. A batch is samples,
  and a function from the network's outputs for them to the training loss.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from gaitpress.frameworks import framework


def trainer(name: str) -> ModuleType:
    """The module that trains the models of a framework: "torch" or "keras"."""
    framework(name)  # has to come first: it prepares the library's import
    return importlib.import_module(f"gaitpress.trainers.{name}_trainer")
