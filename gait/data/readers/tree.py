"""Trees of folders ``identity/condition/view``, listed without opening a file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

from gait.data.readers import Faults
from gait.errors import DataError

View = Callable[[os.DirEntry[str]], str | None]
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


# What systems, disk stations and archivers leave in folders that they have been to; in lower case.
LEFT_BEHIND = {
    *("__macosx", "@eadir", "@tmp", "#recycle", "#snapshot", "lost+found", "$recycle.bin", "system volume information"),
    *("thumbs.db", "ehthumbs.db", "desktop.ini"),
}
MOST_LOOKED_AT = 2000  # folders, in search of the one that a dataset's layout begins in


def entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """What is in a folder, sorted by name, without what is hidden (``.DS_Store``) or left behind by a system (``@eaDir``).

    Raises:
        DataError: it cannot be listed.
    """
    try:
        with os.scandir(folder) as found:
            kept = (entry for entry in found if not entry.name.startswith(".") and entry.name.lower() not in LEFT_BEHIND)
            return sorted(kept, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror})") from None


def beginning(root: Path, begins: Callable[[Path], bool]) -> Path:
    """Where a layout begins: ``root``, or a folder up to two levels below, as when an archive has one of its own.

    Args:
        root: where the user says the dataset is.
        begins: whether it begins in a folder.

    Returns:
        The folder; ``root`` if there is none.

    Raises:
        DataError: it begins in several folders of one level.
    """
    level = [root]
    for _ in range(3):
        found = [folder for folder in level if begins(folder)]
        if len(found) > 1:
            names = ", ".join(str(folder.relative_to(root)) for folder in found[:4])
            raise DataError(f"{root}: holds several datasets, such as {names}; set the dataset's path to one of them")
        if found:
            return found[0]
        level = list(islice((Path(entry.path) for folder in level for entry in folders(folder)), MOST_LOOKED_AT))
    return root


def folders(folder: str | Path) -> Iterable[os.DirEntry[str]]:
    try:
        return [entry for entry in entries(folder) if entry.is_dir()]
    except DataError:
        return []  # somebody else's, such as one that only a system's owner may list


def identities(root: Path, view: View) -> list[str]:
    """Folders of people, sorted: those with at least one walk, or with the empty folder of one.

    Args:
        root: of the tree.
        view: the view that an entry of a condition's folder holds, or None if it holds none.

    Raises:
        DataError: there is none.
    """
    found = [entry.name for entry in entries(root) if _NAME.fullmatch(entry.name) and _is_person(entry, view)]
    if not found:
        raise DataError(f"{root}: holds no folders identity/condition/view with a walk{_level(root)}")
    return found


def has_people(root: Path, view: View) -> bool:
    """Whether a tree of that form begins in a folder."""
    return any(_is_person(entry, view) for entry in folders(root))


def strays(root: Path, view: View) -> list[str]:
    """What is left out for not having the form: folders without a walk, and files where walks are expected; sorted."""
    found = []
    for person in entries(root):
        if person.is_dir() and not _is_person(person, view):
            found.append(person.name)
        for condition in folders(person.path) if person.is_dir() and person.name not in found else ():
            beside = (entry for entry in entries(condition.path) if not entry.is_dir() and view(entry) is None)
            found += [f"{person.name}/{condition.name}/{entry.name}" for entry in beside]
    return found


def other_files(folder: Path, kinds: tuple[str, ...]) -> list[Path]:
    """Files in a folder, if there is one, that have none of some endings (``.png``), sorted."""
    found = entries(folder) if folder.is_dir() else []
    return [Path(entry.path) for entry in found if not entry.is_dir() and not entry.name.lower().endswith(kinds)]


def _is_person(entry: os.DirEntry[str], view: View) -> bool:
    return entry.is_dir() and any(
        view(walk) is not None for condition in folders(entry.path) for walk in entries(condition.path)
    )


def _level(root: Path) -> str:
    """What to say where the files are at another depth than expected."""
    for person in folders(root):
        for inner in folders(person.path):
            if any(not entry.is_dir() for entry in entries(inner.path)):
                return f"; {person.name}/{inner.name} holds files, so that a level is missing"
    return ""


def units(root: Path, view: View) -> list[str]:
    """Walks, such as "anna/coat/090", sorted; a folder whose name does not fit is a unit too, for :func:`walk` to say so.

    Folders without a walk are left out, for :func:`strays` to name them. Arguments are those of :func:`identities`.
    """
    return sorted(set(_units(root, [], view)))


def _units(folder: str | Path, above: list[str], view: View) -> Iterator[str]:
    for entry in entries(folder):
        # Of a person, a folder of nothing that can be read is a walk without frames, which is told.
        name = entry.name if entry.is_dir() else view(entry) if len(above) == 2 else None
        if name is None or (not above and _NAME.fullmatch(name) and not _is_person(entry, view)):
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
