"""Dates of outputs, put right where they would mislead Snakemake: what is out of date is what DVC says, by content.

Snakemake runs a job because an input, the marker, is newer than its outputs. Outputs from a time when the clock was ahead,
or out of an archive, may be dated tomorrow. Nor does it look at outputs dated 1 January 1970, 0:00, as some archives have
them; and it gives up a job that is done if an input of it has a date yet to come.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

OF_A_FOLDER = ".snakemake_timestamp"  # the file by which Snakemake dates a folder
A_SECOND = 1_000_000_000


def mark(marker: Path, outputs: Iterable[str]) -> None:
    """Write the marker, newer than all outputs: any that is not older is dated a second before it."""
    marker.parent.mkdir(exist_ok=True)
    marker.write_text(str(time.time_ns()), encoding="utf-8")  # never the same: Snakemake may also compare contents
    now = marker.stat().st_mtime_ns
    for output in outputs:
        for path in (output, os.path.join(output, OF_A_FOLDER)):
            for follow in (False, True):  # Snakemake looks at a link and at what it leads to
                try:
                    found = os.stat(path, follow_symlinks=follow)
                except (FileNotFoundError, NotADirectoryError):
                    continue
                if not 0 < found.st_mtime_ns < now:
                    os.utime(path, ns=(found.st_atime_ns, now - A_SECOND), follow_symlinks=follow)
