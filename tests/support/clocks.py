"""The clock of a played board, which is set while programs run there; how long things take stays true."""

from __future__ import annotations

from pathlib import Path

import pytest


class Clock:
    """A wrong clock for programs that have its variables in their environment."""

    def __init__(self, where: Path) -> None:
        libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
        if not libraries:
            pytest.skip("there is no libfaketime here (Debian: apt install libfaketime)")
        self._file = where / "clock"
        self.set("+0")
        self.env = {
            "LD_PRELOAD": str(libraries[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
            "NO_FAKE_STAT": "1",  # files get the true time, and the test sets that itself
        }

    def set(self, to: str) -> None:
        """Set it: "+24h", "-24h", or a time such as "@1970-01-01 00:05:00", from which it goes on."""
        self._file.write_text(f"{to}\n")
