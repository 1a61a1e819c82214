"""Snakemake's lock on this folder, which one that was killed leaves behind, without saying whose it was."""

from __future__ import annotations

import fcntl
import shutil
from contextlib import suppress
from pathlib import Path
from typing import IO


def hold(notes: Path) -> IO[str]:
    """Say that a Snakemake runs here, and if no other does remove the locks that are left.

    Args:
        notes: Snakemake's folder, ``.snakemake``.

    Returns:
        A file that must stay open for as long as this Snakemake runs; however it ends, the kernel notices.
    """
    notes.mkdir(exist_ok=True)
    held = (notes / "running").open("a")
    with suppress(OSError):  # another one runs, or this file system knows no such locks
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(notes / "locks", ignore_errors=True)
    with suppress(OSError):
        fcntl.flock(held, fcntl.LOCK_SH)
    return held
