"""Loading a library without the optional ones that it would load with it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(*libraries: str) -> Iterator[None]:
    """In this context these libraries are as good as not installed; those that are loaded already stay."""
    hidden = [name for name in libraries if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # which the import system takes for "not installed"
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
