"""The number of threads that numpy's matrix products take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Within this context, a matrix product takes one thread: the products of an evaluation are too small to share.

    Without threadpoolctl, numpy chooses the number of threads; the results are the same.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield
        return
    with threadpool_limits(1, "blas"):
        yield
