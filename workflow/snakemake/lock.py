"""Snakemake's lock on this folder: a killed Snakemake leaves it behind, and it does not name its process."""

from __future__ import annotations

import fcntl
import shutil
from contextlib import suppress
from pathlib import Path
from typing import IO


def hold(notes: Path) -> IO[str]:
    """Mark that a Snakemake runs here; if no other runs, remove the locks that killed ones left.

    Args:
        notes: Snakemake's folder, ``.snakemake``.

    Returns:
        A file that must stay open for as long as this Snakemake runs; however it ends, the kernel notices.
    """
    notes.mkdir(exist_ok=True)
    running = (notes / "running").open("a")
    with suppress(OSError):  # another Snakemake runs, or this file system has no such locks
        fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(notes / "locks", ignore_errors=True)
    with suppress(OSError):
        fcntl.flock(running, fcntl.LOCK_SH)
    return running
