"""A small disk, mounted for a while."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A disk of memory that is mounted in ``where``."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self._filler = where / ".filler"

    def leave(self, count: int) -> None:
        """Fill it but for so many bytes."""
        self._filler.unlink(missing_ok=True)
        with self._filler.open("wb") as filler:
            filler.write(bytes(max(0, shutil.disk_usage(self.where).free - count)))

    def make_room(self) -> None:
        """Remove what fills it."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def mounted(where: Path, size: int, files: int = 0) -> Iterator[SmallDisk]:
    """Mount a disk of ``size`` bytes that takes so many ``files``, if not 0; skip the test where nothing may be mounted."""
    where.mkdir(parents=True, exist_ok=True)
    options = f"size={size}" + (f",nr_inodes={files}" if files else "")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", where], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no small disk can be made here: {done.stderr.strip()}")
    try:
        yield SmallDisk(where)
    finally:
        subprocess.run(["umount", "-l", where], check=True)
