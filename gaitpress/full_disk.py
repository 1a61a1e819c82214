"""Say in one line that a disk is full, in whatever words, or none, the library says so that could not write."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compress.errors import CompressionError
from gait.errors import DataError
from gaitpress.errors import StageError
from remote.errors import DeviceError

LITTLE = 1 << 16  # bytes; with less, a disk is full
# Words of the system, of Rust, numpy, SQLite and DVC.
_WORDS = re.compile(
    r"No space left|\(os error (28|122)\)|requested and \d+ written|disk is full|quota exceeded", re.IGNORECASE
)
# What these say they found in files and settings, so a full disk did not make them fail unless their words say so.
_KNOWN = (StageError, DataError, CompressionError, DeviceError)


class DiskFull(OSError):
    """A disk is full; the message names the folder and says what to do."""


@contextmanager
def named(folder: Path) -> Iterator[None]:
    """Turn what fails in this context for lack of room, such as in ``folder``, into an error that says so.

    Raises:
        DiskFull: a disk is full.
    """
    try:
        yield
    except Exception as error:
        if (words := in_words(error, folder)) is None:
            raise
        raise DiskFull(words) from error


def in_words(error: BaseException, folder: Path) -> str | None:
    """What is full where, and what to do; None if no full disk is behind the error.

    Args:
        error: what a block raised that writes to ``folder`` or to a folder for temporary files.
        folder: a folder, which need not exist yet.
    """
    if isinstance(error, DiskFull):
        return str(error)
    said = _says_so(error)
    if not said and isinstance(error, (*_KNOWN, MemoryError, FileNotFoundError, PermissionError)):
        return None
    name = getattr(error, "filename", None)
    at = [Path(os.fsdecode(name)).parent] if said and isinstance(name, (str, bytes)) else []
    folders = [_existing(place) for place in (*at, folder, Path(tempfile.gettempdir()))]
    then = "make room there and run the same again; nothing half-written stays"
    for place in folders:
        if lack := _lack(place):
            return f"{place}: {lack}; {then}"
    if not said:
        return None
    # Whoever tidied up has made room again, and the disk is one of these.
    disks = {place.stat().st_dev: place for place in reversed(folders)}
    rooms = " or ".join(f"{place} ({_free(place) / 1e6:.1f} MB free now)" for place in reversed(disks.values()))
    return f"no space was left on the disk of {rooms}; {then}"


def _says_so(error: BaseException | None) -> bool:
    while error is not None:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or _WORDS.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def _free(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def _lack(folder: Path) -> str | None:
    disk = os.statvfs(folder)
    where = next(place for place in (folder.resolve(), *folder.resolve().parents) if place.is_mount())
    if (free := disk.f_bavail * disk.f_frsize) < LITTLE:
        return f"its disk, mounted at {where}, is full ({free // 1024} KB free)"
    if disk.f_files and not disk.f_favail:
        return f"its disk, mounted at {where}, takes no more files (no inode is free; {free / 1e6:.0f} MB are)"
    return None
