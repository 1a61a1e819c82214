"""Signatures of a test set, the same for a stage whatever the framework. A framework's module offers:

- ``embed(model, store, positions)``: the ``Signatures`` of all samples of the sequences.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from gaitpress.frameworks import framework


def embedder(name: str) -> ModuleType:
    """What makes the signatures of a framework's models: "torch" or "keras"."""
    framework(name)  # has to come first: it prepares the library's import
    return importlib.import_module(f"gaitpress.embedders.{name}_embedder")
