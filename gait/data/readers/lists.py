"""Lists of who trains and who is tested, in JSON files that come with datasets.

A dataset's own repository or OpenGait's holds the file; the user puts it in the dataset's folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from gait.data.readers import tree
from gait.errors import DataError

LARGEST = 2**24  # bytes
PEOPLE = {"train": "TRAIN_SET", "test": "TEST_SET"}


def read(root: Path, name: str, dataset: str, parts: Mapping[str, str] = PEOPLE) -> dict[str, list[str]]:
    """The names in each part of a list.

    Args:
        root: the dataset's folder; the file may also be in a folder of it.
        name: the file's, such as "Gait3D.json".
        dataset: the dataset's name, for messages.
        parts: the file's keys by the parts' names, such as "train".

    Returns:
        The names by part; empty if there is no such file.

    Raises:
        DataError: the file is no such list.
    """
    places = [root / name, *(Path(entry.path) / name for entry in tree.folders(root))]
    place = next(filter(Path.is_file, places), None)
    if place is None:
        return {}
    try:
        if place.stat().st_size > LARGEST:
            raise ValueError(f"larger than {LARGEST >> 20} MiB")
        lists = json.loads(place.read_text(encoding="utf-8"))
        named = {part: lists[key] for part, key in parts.items()}
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(f"{place}: not {dataset}'s list of who trains and is tested ({error})") from None
    for part, names in named.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f"{place}: {parts[part]} must be a list of names")
    return named
