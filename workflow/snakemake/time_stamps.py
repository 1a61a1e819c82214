"""Correct the dates of outputs that would mislead Snakemake: DVC says by content what is out of date.

Snakemake runs a job because an input, the marker, is newer than its outputs. Outputs made while the clock was ahead, or
unpacked from an archive, may have tomorrow's date. Snakemake also ignores outputs dated 1 January 1970, 0:00, as some
archives have them; and it fails a job that is done if one of its inputs has a date in the future.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

FOLDER_STAMP = ".snakemake_timestamp"  # the file by which Snakemake dates a folder
SECOND_NS = 1_000_000_000


def mark(marker: Path, outputs: Iterable[str]) -> None:
    """Write the marker, newer than all outputs: date outputs that are not older a second before it."""
    marker.parent.mkdir(exist_ok=True)
    marker.write_text(str(time.time_ns()), encoding="utf-8")  # never the same: Snakemake may also compare contents
    now = marker.stat().st_mtime_ns
    for output in outputs:
        for path in (output, os.path.join(output, FOLDER_STAMP)):
            for follow in (False, True):  # Snakemake looks at a link and at its target
                try:
                    status = os.stat(path, follow_symlinks=follow)
                except (FileNotFoundError, NotADirectoryError):
                    continue
                if not 0 < status.st_mtime_ns < now:
                    os.utime(path, ns=(status.st_atime_ns, now - SECOND_NS), follow_symlinks=follow)
