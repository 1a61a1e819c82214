"""DVC's list of the files that processes read and write, ``.dvc/tmp/rwlock``: kept whole, and mended after one was killed.

DVC writes it in place, and whoever is killed meanwhile leaves half of it, which DVC then refuses. DVC itself drops the
entries of processes that are no more; but a process that has the number of one that was killed, as happens after a
restart, it takes for that one. Of processes on other nodes of a cluster nobody here can tell; their entries stay, for a
process that does not find its own at its end fails.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psutil


class WholeFiles:
    """What DVC needs of a file system to edit its list, here one in which a file takes its place when it is complete."""

    def __init__(self, fs: Any) -> None:
        """``fs`` is DVC's own."""
        self._fs = fs

    def join(self, *parts: str) -> str:
        return str(self._fs.join(*parts))

    @contextmanager
    def open(self, path: str, mode: str = "r", encoding: str | None = None) -> Iterator[IO[str]]:
        # One name is enough, for DVC writes under a lock: what a killed process left of it, the next one overwrites.
        opened = f"{path}.partial" if mode == "w" else path
        with self._fs.open(opened, mode, encoding=encoding) as file:
            yield file
        if mode == "w":
            os.replace(opened, path)


def mended(path: Path) -> dict[str, Any] | None:
    """The content without what no running process can have written; None if there is nothing of that."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}  # whoever wrote it was killed meanwhile, or the disk was full
    writers = {file: entry for file, entry in content.get("write", {}).items() if _is_its(entry)}
    readers = {file: [entry for entry in entries if _is_its(entry)] for file, entries in content.get("read", {}).items()}
    left = {"write": writers, "read": {file: entries for file, entries in readers.items() if entries}}
    return None if all(left[mode] == content.get(mode, {}) for mode in left) else left


def _is_its(entry: dict[str, Any]) -> bool:
    """Whether the process with an entry's number is the one that wrote it, as far as its arguments tell."""
    arguments = entry["cmd"].split()[1:]
    if arguments[-2:-1] == ["--on"] and arguments[-1] != platform.node():
        return True
    try:
        running = psutil.Process(entry["pid"]).cmdline()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
    return " ".join(running).split()[-len(arguments) :] == arguments if arguments else True
