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
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any

import psutil
from dvc import rwlock
from dvc.fs import FileSystem
from dvc.lock import make_lock
from dvc.repo import Repo
from dvc.rwlock import RWLOCK_FILE, RWLOCK_LOCK


@contextmanager
def replaced_at_once() -> Iterator[None]:
    """Let DVC, in this process, replace the list by a complete one: however the process ends, the file can be read."""
    edit = rwlock._edit_rwlock

    def edit_whole(folder: str, fs: FileSystem, hardlinks: bool) -> AbstractContextManager[Any]:
        return edit(folder, _WholeFiles(fs), hardlinks)

    rwlock._edit_rwlock = edit_whole
    try:
        yield
    finally:
        rwlock._edit_rwlock = edit


@contextmanager
def only_looked_at(repo: Repo) -> Iterator[None]:
    """Let DVC, in this process, see who writes what it reads, and not say that it reads it.

    That spares it to rewrite the list twice a stage. The repository must be locked until the end: whoever wants to write,
    and whoever has written, waits for that.
    """
    hardlinks = repo.config["core"].get("hardlink_lock", False)
    with rwlock._edit_rwlock(repo.tmp_dir, repo.fs, hardlinks) as listed:
        writers = {"write": dict(listed["write"])}
    declare = rwlock.rwlock

    @contextmanager
    def look_at(
        folder: str, _fs: FileSystem, command: str, read: list[str], write: list[str], _hardlinks: bool
    ) -> Iterator[None]:
        own = {"pid": os.getpid(), "cmd": command}
        rwlock._check_blockers(folder, writers, own, mode="write", waiters=read + write)
        yield

    rwlock.rwlock = look_at
    try:
        yield
    finally:
        rwlock.rwlock = declare


class _WholeFiles:
    """What DVC needs of a file system to edit its list, here one in which a file takes its place when it is complete."""

    def __init__(self, fs: FileSystem) -> None:
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


def mend(repo: Repo) -> None:
    """Drop what no running process can have written."""
    path = Path(repo.tmp_dir or "", RWLOCK_FILE)
    if _mended(path) is None:
        return
    hardlinks = repo.config["core"].get("hardlink_lock", False)
    with make_lock(str(path.with_name(RWLOCK_LOCK)), tmp_dir=repo.tmp_dir, hardlink_lock=hardlinks):
        mended = _mended(path)  # now that nobody is in the middle of writing it
        if mended is not None:
            with _WholeFiles(repo.fs).open(str(path), "w", encoding="utf-8") as file:
                json.dump(mended, file)


def _mended(path: Path) -> dict[str, Any] | None:
    """The content without what is stale; None if nothing is."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}  # whoever wrote it was killed meanwhile, or the disk was full
    writers = {file: entry for file, entry in content.get("write", {}).items() if _is_its(entry)}
    readers = {file: [entry for entry in entries if _is_its(entry)] for file, entries in content.get("read", {}).items()}
    mended = {"write": writers, "read": {file: entries for file, entries in readers.items() if entries}}
    return None if all(mended[mode] == content.get(mode, {}) for mode in mended) else mended


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
