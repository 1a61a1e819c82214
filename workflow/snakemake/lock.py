"""Snakemake's lock on this folder: a killed Snakemake leaves it behind, and it does not name its process."""

from __future__ import annotations

import fcntl
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

ANOTHER = "another snakemake runs in this folder"


def hold(notes: Path, runs: bool, unlocks: bool) -> IO[str]:
    """Mark that a Snakemake runs here; if no other runs, remove the locks that killed ones left.

    If another runs, its lock stays: Snakemake itself would advise to remove it, and then do so.

    Args:
        notes: Snakemake's folder, ``.snakemake``.
        runs: whether this Snakemake runs jobs.
        unlocks: whether it is asked to remove locks.

    Returns:
        A file that must stay open for as long as this Snakemake runs; however it ends, the kernel notices.
    """
    notes.mkdir(exist_ok=True)
    running = (notes / "running").open("a")
    with suppress(OSError):  # this file system has no such locks
        try:
            fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(notes / "locks", ignore_errors=True)
        except BlockingIOError:
            if unlocks:
                sys.exit(f"error: {ANOTHER}, so its locks stay. Those of killed ones go by themselves")
            if runs:
                print(
                    f"note: {ANOTHER}. If both are to make the same files, this one ends at once: run it again later, and "
                    "leave --unlock alone",
                    file=sys.stderr,
                )
        fcntl.flock(running, fcntl.LOCK_SH)
    return running
