"""The module that prunes the models of a framework."""

from __future__ import annotations

import importlib
from types import ModuleType


def surgery(framework_name: str) -> ModuleType:
    """The module that prunes the models of "torch" or "keras"; both offer the same functions."""
    return importlib.import_module(f"compress.pruning.{framework_name}_surgery")
