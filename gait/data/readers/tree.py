"""Trees of folders ``identity/condition/view``, listed without opening a file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from gait.data.readers import Faults
from gait.errors import DataError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """What is in a folder, sorted by name, without what is hidden (``.DS_Store``).

    Raises:
        DataError: it cannot be listed.
    """
    try:
        with os.scandir(folder) as found:
            return sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror})") from None


def identities(root: Path) -> list[str]:
    """Folders of people, sorted.

    Raises:
        DataError: there is none.
    """
    found = [entry.name for entry in entries(root) if _NAME.fullmatch(entry.name) and entry.is_dir()]
    if not found:
        raise DataError(f"{root}: holds no folders identity/condition/view")
    return found


def units(root: Path, view: Callable[[os.DirEntry[str]], str | None]) -> list[str]:
    """Walks, such as "anna/coat/090", sorted; a folder whose name does not fit is a unit too, for :func:`walk` to say so.

    Args:
        root: of the tree.
        view: the view that an entry of a condition's folder holds, or None if it holds none.
    """
    return sorted(set(_units(root, [], view)))


def _units(folder: str | Path, above: list[str], view: Callable[[os.DirEntry[str]], str | None]) -> Iterator[str]:
    for entry in entries(folder):
        name = view(entry) if len(above) == 2 else entry.name if entry.is_dir() else None
        if name is None:
            continue
        if len(above) < 2 and _NAME.fullmatch(name):
            yield from _units(entry.path, [*above, name], view)
        else:
            yield "/".join([*above, name.encode(errors="replace").decode()])


def walk(root: Path, unit: str, faults: Faults) -> tuple[str, str, str] | None:
    """Identity, condition and view of a unit; None, and a fault, if it has a name that does not fit."""
    parts = unit.split("/")
    if len(parts) != 3 or not all(map(_NAME.fullmatch, parts)):
        faults.append(f"{root / unit}: left out, for names may have letters, digits, '_', '.' and '-' only")
        return None
    return parts[0], parts[1], parts[2]
