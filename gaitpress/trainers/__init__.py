"""Training, the same for a stage whatever the framework. A framework's module offers:

- ``joined()``: a context, this process among those that train together (a Keras model trains in one).
- ``fit(model, store, train, entry, session)``, ``finetune(model, store, train, entry, finetune, session)``: train in place;
  the history. ``session`` is what :meth:`gaitpress.sessions.Session.phase` gives.
- ``gradient_batches(model, store, train, entry)``: training batches without end, always the same ones; each is samples, and
  the training loss of what the network gives for them, as a function.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from gaitpress.frameworks import framework


def trainer(name: str) -> ModuleType:
    """What trains the models of a framework: "torch" or "keras"."""
    framework(name)  # has to come first: it prepares the library's import
    return importlib.import_module(f"gaitpress.trainers.{name}_trainer")
