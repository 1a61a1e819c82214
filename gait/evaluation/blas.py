"""How many threads numpy's matrix products take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Within, matrix products take one thread each: those of an evaluation are too small to be shared out.

    Without threadpoolctl they take as many as they like, with the same results.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield
        return
    with threadpool_limits(1, "blas"):
        yield
