"""DVC's run-cache, mended after a disk was full: DVC fails where it finds the folder of a run and no entry in it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from dvc.repo import Repo


def mend(repo: Repo) -> None:
    """Remove empty folders. The repository must be locked: DVC makes a folder and its entry under that lock."""
    for folder in Path(repo.stage_cache.cache_dir).glob("*/*"):
        with suppress(OSError):  # those that hold an entry stay
            folder.rmdir()
