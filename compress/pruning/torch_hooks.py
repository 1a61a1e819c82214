"""Look at, or change, what modules of a PyTorch network give, for as long as a context lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any


@contextmanager
def hooked(model: Any, hooks: Mapping[str, Callable[..., Any]]) -> Iterator[None]:
    """Call each hook after the module of its name, with module, arguments and output, as PyTorch's forward hooks are."""
    with ExitStack() as stack:
        for name, hook in hooks.items():
            stack.callback(model.get_submodule(name).register_forward_hook(hook).remove)
        yield
