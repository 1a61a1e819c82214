"""Read or change the outputs of modules of a PyTorch network while a context lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any


@contextmanager
def hooked(model: Any, hooks: Mapping[str, Callable[..., Any]]) -> Iterator[None]:
    """Call each hook after the module that its key names, with the arguments of a PyTorch forward hook."""
    with ExitStack() as stack:
        for name, hook in hooks.items():
            stack.callback(model.get_submodule(name).register_forward_hook(hook).remove)
        yield
