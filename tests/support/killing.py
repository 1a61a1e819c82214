"""Killing a program in the middle of its work."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


def kill_once_there(
    command: Sequence[str], where: Path, awaited: Path, *, later_s: float = 0.0, env: Mapping[str, str] | None = None
) -> None:
    """Start a program in ``where`` and kill it, with no chance to tidy up, some time after a file or folder has appeared.

    The program must not end before that.
    """
    process = subprocess.Popen(command, cwd=where, env=env, start_new_session=True)
    while not awaited.exists():
        assert process.poll() is None
        time.sleep(0.02)
    time.sleep(later_s)
    process.kill()
    assert process.wait() == -signal.SIGKILL


def wait_until_gone(group: int) -> None:
    """Wait until no process of a group is left."""
    for _ in range(600):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError(f"processes of group {group} are still there")
