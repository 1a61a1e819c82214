"""Keep DVC's list of the files that processes read and write, ``.dvc/tmp/rwlock``, whole, and mend it after a kill.

DVC writes it in place, and a process that is killed meanwhile leaves half of it, which DVC then refuses. DVC itself drops
the entries of processes that have ended; but it mistakes a process with the number of a killed one, as happens after a
restart, for that one. This computer cannot see the processes on other nodes of a cluster; their entries stay, because a
process that does not find its own entry at its end fails.
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
    """The part of a file system that DVC needs to edit its list; here a file takes its place when it is complete."""

    def __init__(self, fs: Any) -> None:
        """Use ``fs``, DVC's own file system."""
        self._fs = fs

    def join(self, *parts: str) -> str:
        return str(self._fs.join(*parts))

    @contextmanager
    def open(self, path: str, mode: str = "r", encoding: str | None = None) -> Iterator[IO[str]]:
        # One name is enough, because DVC writes under a lock: the next process overwrites the rest of a killed one's file.
        opened_path = f"{path}.partial" if mode == "w" else path
        with self._fs.open(opened_path, mode, encoding=encoding) as file:
            yield file
        if mode == "w":
            os.replace(opened_path, path)


def mended(path: Path) -> dict[str, Any] | None:
    """The content without the entries that no running process can have written; None if there are no such entries."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}  # its writer was killed meanwhile, or the disk was full
    writers = {file: entry for file, entry in content.get("write", {}).items() if _wrote(entry)}
    readers = {file: [entry for entry in entries if _wrote(entry)] for file, entries in content.get("read", {}).items()}
    left = {"write": writers, "read": {file: entries for file, entries in readers.items() if entries}}
    return None if all(left[mode] == content.get(mode, {}) for mode in left) else left


def _wrote(entry: dict[str, Any]) -> bool:
    """Whether the process with an entry's number wrote the entry, as far as its arguments show."""
    arguments = entry["cmd"].split()[1:]
    if arguments[-2:-1] == ["--on"] and arguments[-1] != platform.node():
        return True
    try:
        running = psutil.Process(entry["pid"]).cmdline()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
    return any(_is_said_of(entry["cmd"], running[place:]) for place in range(len(running)))


def _is_said_of(command: str, words: list[str]) -> bool:
    """Whether a program that was started by these words lists itself as ``command``.

    DVC lists Python's arguments with a blank between each two. Any of them may hold blanks itself, as the path of a module
    does where a folder's name has one. Python has the path of its file in the place of ``-m`` and a module's name.
    """
    if words[0] == "-c":
        words = [words[0], *words[2:]]
    if words[0] != "-m" or len(words) == 1:
        return command == " ".join(words)
    arguments = "".join(f" {word}" for word in words[2:])
    file = "/" + words[1].replace(".", "/")
    return command.endswith((f"{file}.py{arguments}", f"{file}/__main__.py{arguments}"))
