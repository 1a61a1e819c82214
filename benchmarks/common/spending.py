"""What a program costs: time, time of the processor and memory, with all processes that it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

MB = 1e6
LOOK_EVERY_S = 0.1


@dataclass(frozen=True)
class Spent:
    """The costs of one run of a program.

    Attributes:
        wall_s: seconds from its start to its end.
        cpu_s: seconds of the processor, of the program and all that it started and waited for.
        peak_mb: the most memory of their own that the program and all that it started had at one moment, in MB: without the
            pages of mapped files, which the system may take away.
        lines: lines that it printed.
        status: its exit status.
        said: the end of what it printed.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    lines: int
    status: int
    said: str

    def figures(self) -> dict[str, Any]:
        """The figures for a report, rounded."""
        named = asdict(self)
        return {**{key: round(named[key], 1) for key in ("wall_s", "cpu_s", "peak_mb")}, "lines": self.lines}


def run(
    command: Sequence[str],
    where: Path,
    *,
    end_when: Callable[[], bool] | None = None,
    by: signal.Signals = signal.SIGTERM,
    allowed: Sequence[int] = (0,),
) -> Spent:
    """Run a program to its end.

    Args:
        command: its words.
        where: the folder to run it in.
        end_when: if given, asked every tenth of a second; the program gets a signal once it says yes.
        by: that signal.
        allowed: the exit statuses of success. Another ends this process with what the program printed.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=where, stdout=said, stderr=subprocess.STDOUT, start_new_session=True)
        over, most = Event(), [0.0]
        watch = Thread(target=_watch, args=(process.pid, over, most, end_when, by), daemon=True)
        watch.start()
        _, ended, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        over.set()
        watch.join()
        process.returncode = status = os.waitstatus_to_exitcode(ended)
        said.seek(0)
        text = said.read()
    if status not in allowed:
        sys.exit(f"error: {' '.join(command)} ended with {status}:\n{text[-3000:]}")
    return Spent(wall, used.ru_utime + used.ru_stime, most[0] / MB, text.count("\n"), status, text[-3000:])


def _watch(session: int, over: Event, most: list[float], end_when: Callable[[], bool] | None, by: signal.Signals) -> None:
    """Note the most memory of a session's processes; send the signal to the first of them once it is time."""
    while not over.wait(LOOK_EVERY_S):
        most[0] = max(most[0], sum(map(_own_memory, _processes(session))))
        if end_when is not None and end_when():
            os.kill(session, by)
            end_when = None


def _processes(session: int) -> Iterator[Path]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                # After the program's name, which may hold anything, and ")": state, parent, group, session.
                if int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[3]) == session:
                    yield folder


def _own_memory(process: Path) -> int:
    """A process's anonymous memory in bytes; 0 once it has ended."""
    with suppress(OSError):
        for line in (process / "status").read_text(errors="replace").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0


def size_of(top: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if top.is_file():
        return top.stat().st_size
    return sum(os.stat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(top) for name in names)
