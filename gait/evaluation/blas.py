"""The number of threads that numpy's matrix products take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Within, a matrix product takes one thread: the products of an evaluation are too small to share.

    Without threadpoolctl it takes as many as it likes, with the same results.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield
        return
    with threadpool_limits(1, "blas"):
        yield
