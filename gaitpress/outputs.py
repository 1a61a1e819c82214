"""Outputs that appear whole or not at all, and JSON files."""

from __future__ import annotations

import fcntl
import glob
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gaitpress import full_disk, putting_aside, started
from gaitpress.errors import StageError

BEGINNING_S = 60.0  # so long another process may take from making a directory to locking it


@contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """A directory to fill, which appears as ``path`` (replacing what was there) only if the block succeeds.

    Raises:
        StageError: there is something else than a directory; nothing is lost and no work is done.
        DiskFull: there is no room for it.
    """
    declared, path = path, putting_aside.real(path)
    if path.exists() and not path.is_dir():
        raise StageError(f"{path}: is in the way of the directory to write; move it aside")
    partial, former, mine = _partial(path), _partial(path, "former"), None
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed and had this one's number
    _remove_abandoned(path)
    try:
        with full_disk.named(path.parent):
            partial.mkdir()
            mine = _locked(partial)
            yield partial
            putting_aside.confirm(declared, partial)
            if path.exists():
                path.rename(former)
            try:
                partial.rename(path)
            except BaseException:
                if former.exists():
                    former.rename(path)
                raise
        shutil.rmtree(former, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if mine is not None:
            os.close(mine)


def _locked(directory: Path) -> int | None:
    """Take a directory's lock, which ends with this process; None if another has it, or the disk knows no locks."""
    try:
        lock = os.open(directory, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _remove_abandoned(path: Path) -> None:
    """Remove what processes that were killed had begun for ``path``: nobody holds its lock."""
    for partial in path.parent.glob(f".{glob.escape(path.stem)}.partial-*{glob.escape(path.suffix)}"):
        if partial.is_dir() and (lock := _locked(partial)) is not None:
            if time.time() - partial.stat().st_ctime > BEGINNING_S:
                shutil.rmtree(partial, ignore_errors=True)
            os.close(lock)


@contextmanager
def resumed_directory(path: Path, key: str) -> Iterator[Path]:
    """Like :func:`new_directory`, but what a block that failed or was killed has written is there for the next one.

    Args:
        path: the directory to make.
        key: stands for all inputs of the work; what was begun with another key is thrown away.

    Raises:
        StageError: another process is at the same work. One that the block raises says that its inputs do not fit, so that
            nothing is kept.
    """
    with begun(path, key) as directory:
        yield directory
        (directory / "key").unlink()
        with new_directory(path) as partial:
            partial.rmdir()
            directory.rename(partial)


def begun_path(path: Path) -> Path:
    """Where :func:`begun` keeps what is for ``path``: on the disk to which it goes, which may be a linked one."""
    path = putting_aside.real(path)
    return path.with_name(f".{path.name}.begun")


@contextmanager
def begun(path: Path, key: str) -> Iterator[Path]:
    """A directory beside ``path``, which holds what a block that failed or was killed has written there.

    It is gone once a block succeeds. Arguments and errors are those of :func:`resumed_directory`.
    """
    directory = begun_path(path)
    with full_disk.named(path.parent):
        directory.mkdir(parents=True, exist_ok=True)
    lock, holding = os.open(directory, os.O_RDONLY), False
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            holding = True
        except BlockingIOError:
            raise StageError(f"{path}: another process is making it") from None
        if started.this is not None:
            started.this.check()
        noted = directory / "key"
        if not noted.exists() or noted.read_text(encoding="utf-8") != key:
            noted.unlink(missing_ok=True)  # first: what is half removed belongs to no key any more
            for old in directory.iterdir():
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            write_text(noted, key)
        with full_disk.named(directory.parent):
            yield directory
        shutil.rmtree(directory, ignore_errors=True)
    except (StageError, started.Edited) as error:
        # What an edit has spoiled goes on from here once it is taken back, unless it was finished.
        if holding and getattr(error, "kept", True):
            shutil.rmtree(directory, ignore_errors=True)
        raise
    finally:
        os.close(lock)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A file to write, which appears as ``path`` (replacing what was there) only if the block succeeds.

    Raises:
        DiskFull: there is no room for it.
    """
    partial = _partial(path)
    try:
        with full_disk.named(path.parent):
            yield partial
            putting_aside.confirm(path, partial)
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def take_up(this: started.Started) -> None:
    """Put in place what this stage has finished before, from all that it starts from now, and end."""
    paths = [Path(out) for out in this.outs]
    if not this.keeps or not all(any(started.asides(putting_aside.real(path))) for path in paths):
        return
    content = this.content()
    kept = {path: started.aside(putting_aside.real(path), content or "") for path in paths}
    if not all(aside.exists() for aside in kept.values()):
        return
    for path, aside in kept.items():
        with new_directory(path) if aside.is_dir() else new_file(path) as partial:
            if aside.is_dir():
                partial.rmdir()
            aside.rename(partial)
        print(f"{path}: taken up as it was finished before")
    sys.exit()


def _partial(path: Path, what: str = "partial") -> Path:
    """A hidden name beside ``path`` that no other process uses."""
    with full_disk.named(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: savers such as Keras choose a format by it.
    return path.with_name(f".{path.stem}.{what}-{os.getpid()}{path.suffix}")


def write_text(path: Path, text: str) -> None:
    """Write a text, whole or not at all."""
    with new_file(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON, sorted and indented so that versions compare well."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        StageError: the file is missing or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StageError(f"{path}: no such file; run `dvc repro` to make it") from None
    except ValueError as error:
        raise StageError(f"{path}: not valid JSON ({error})") from None
