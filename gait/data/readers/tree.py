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


# Names, in lower case, of what systems, disk stations and archivers leave behind in folders.
LEFT_BEHIND = {
    *("__macosx", "@eadir", "@tmp", "#recycle", "#snapshot", "lost+found", "$recycle.bin", "system volume information"),
    *("thumbs.db", "ehthumbs.db", "desktop.ini"),
}
MOST_LOOKED_AT = 2000  # folders, in the search for the one in which a dataset's layout begins


def entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """The entries of a folder, sorted by name, without hidden ones (``.DS_Store``) and what systems leave (``@eaDir``).

    Raises:
        DataError: the folder cannot be listed.
    """
    try:
        with os.scandir(folder) as listing:
            kept = (entry for entry in listing if not entry.name.startswith(".") and entry.name.lower() not in LEFT_BEHIND)
            return sorted(kept, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror})") from None


def beginning(root: Path, begins: Callable[[Path], bool]) -> Path:
    """The folder in which a layout begins: ``root``, or one up to two levels below, such as an archive brings along.

    Args:
        root: the dataset's folder as the user gives it.
        begins: says whether the layout begins in a folder.

    Returns:
        The folder; ``root`` if the layout begins nowhere.

    Raises:
        DataError: it begins in several folders of one level.
    """
    level = [root]
    for _ in range(3):
        datasets = [folder for folder in level if begins(folder)]
        if len(datasets) > 1:
            names = ", ".join(str(folder.relative_to(root)) for folder in datasets[:4])
            raise DataError(f"{root}: holds several datasets, such as {names}; set the dataset's path to one of them")
        if datasets:
            return datasets[0]
        level = list(islice((Path(entry.path) for folder in level for entry in folders(folder)), MOST_LOOKED_AT))
    return root


def folders(folder: str | Path) -> Iterable[os.DirEntry[str]]:
    """The folders in a folder, sorted by name; none if it cannot be listed."""
    try:
        return [entry for entry in entries(folder) if entry.is_dir()]
    except DataError:
        return []  # not the dataset's, such as one that only the system's owner may list


def identities(root: Path, view: View) -> list[str]:
    """Names of the people's folders, sorted: those with at least one walk, or with the empty folder of one.

    Args:
        root: the folder of the tree.
        view: returns the view that an entry of a condition's folder holds, or None if it holds none.

    Raises:
        DataError: there is no such folder, or none whose name fits.
    """
    names = [entry.name for entry in entries(root) if _is_person(entry, view)]
    people = [name for name in names if _NAME.fullmatch(name)]
    if not people and names:
        raise DataError(f"{root}: names may have letters, digits, '_', '.' and '-' only; rename such as {names[0]!r}")
    if not people:
        raise DataError(f"{root}: holds no folders identity/condition/view with a walk{_level(root)}")
    return people


def has_people(root: Path, view: View) -> bool:
    """Whether a tree of this form begins in a folder."""
    return any(_is_person(entry, view) for entry in folders(root))


def strays(root: Path, view: View) -> list[str]:
    """Names that do not have the form and are left out, sorted: folders without a walk, and files in place of walks."""
    names = []
    for person in entries(root):
        is_person = _is_person(person, view)
        if person.is_dir() and not is_person:
            names.append(person.name)
        for condition in folders(person.path) if is_person else ():
            files = (entry for entry in entries(condition.path) if not entry.is_dir() and view(entry) is None)
            names += [f"{person.name}/{condition.name}/{entry.name}" for entry in files]
    return names


def other_files(folder: Path, kinds: tuple[str, ...]) -> list[Path]:
    """Files in a folder whose endings (``.png``) are not among ``kinds``, sorted; none if there is no folder."""
    files = [entry for entry in entries(folder) if not entry.is_dir()] if folder.is_dir() else []
    return [Path(entry.path) for entry in files if not entry.name.lower().endswith(kinds)]


def _is_person(entry: os.DirEntry[str], view: View) -> bool:
    return entry.is_dir() and any(
        view(walk) is not None for condition in folders(entry.path) for walk in entries(condition.path)
    )


def _level(root: Path) -> str:
    """The end of a message where the files are one level too high; else empty."""
    for person in folders(root):
        for inner in folders(person.path):
            if any(not entry.is_dir() for entry in entries(inner.path)):
                return f"; {person.name}/{inner.name} holds files, so that a level is missing"
    return ""


def units(root: Path, view: View) -> list[str]:
    """Walks, such as "anna/coat/090", sorted. A folder whose name does not fit is a unit too: :func:`walk` reports it.

    Folders without a walk are left out: :func:`strays` names them. The arguments are those of :func:`identities`.
    """
    return sorted(set(each_unit(root, view)))


def each_unit(root: Path, view: View) -> Iterator[str]:
    """The walks of :func:`units` as they are found, some of them twice."""
    return _units(root, [], view)


def _units(folder: str | Path, above: list[str], view: View) -> Iterator[str]:
    for entry in entries(folder):
        # A person's folder that holds nothing readable counts as a walk without frames, so that the user learns of it.
        name = entry.name if entry.is_dir() else view(entry) if len(above) == 2 else None
        if name is None or (not above and _NAME.fullmatch(name) and not _is_person(entry, view)):
            continue
        if len(above) < 2 and _NAME.fullmatch(name):
            yield from _units(entry.path, [*above, name], view)
        else:
            yield "/".join([*above, name.encode(errors="replace").decode()])


def walk(root: Path, unit: str, faults: Faults) -> tuple[str, str, str] | None:
    """Identity, condition and view of a unit; None, and a fault, if one of its names does not fit."""
    parts = unit.split("/")
    if len(parts) != 3 or not all(map(_NAME.fullmatch, parts)):
        faults.append(f"{root / unit}: left out, for names may have letters, digits, '_', '.' and '-' only")
        return None
    return parts[0], parts[1], parts[2]
