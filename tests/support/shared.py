"""What several test files need and takes long to make: the processes of a test run make it once."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def folder(factory: pytest.TempPathFactory, name: str) -> Iterator[tuple[Path, bool]]:
    """A folder that all processes share, and whether this one must fill it. No test may change what is in it."""
    base = factory.getbasetemp()
    where = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with where.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (where / "complete").exists():
            yield where, False
            return
        shutil.rmtree(where, ignore_errors=True)  # of a process that failed
        where.mkdir()
        yield where, True
        (where / "complete").touch()
