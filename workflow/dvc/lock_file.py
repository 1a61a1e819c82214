"""Replace entries of dvc.lock without parsing and dumping all the others.

DVC parses the whole file and dumps it anew after every stage: 1.5 s of processor time at 6,000 lines. Here DVC dumps the
entry alone, and the file is byte for byte what DVC would have written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

HEAD = "schema: '2.0'\nstages:\n"
COMMENT = re.compile(r"^\s*#", re.MULTILINE)
ANCHOR = re.compile(r"[&*]id\d")  # these are numbered per file
NEXT_ENTRY = re.compile(r"^  \S", re.MULTILINE)
# The lines about a file that a stage reads or makes.
FILE = re.compile(r"^    - (path: .*\n(?:      .*\n)+)", re.MULTILINE)


def record(path: Path, fresh: Sequence[str]) -> bool | None:
    """Write entries into a dvc.lock, which this replaces as a whole or leaves as it was.

    Args:
        path: the file, which need not be there.
        fresh: as for :func:`with_entries`.

    Returns:
        Whether the file changed; None if only DVC should write it.
    """
    before = path.read_text(encoding="utf-8") if path.exists() else HEAD
    text = with_entries(before, fresh)
    if text is None:
        return None
    if text != before:
        partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return text != before


def with_entries(text: str, fresh: Sequence[str]) -> str | None:
    """The content of dvc.lock with entries added, or replaced where they stand.

    Args:
        text: the content of dvc.lock.
        fresh: texts of ``stages:`` and one entry below it, as DVC dumps them.

    Returns:
        The new content; None if something is not as plain as DVC writes it, so that only DVC should touch it.
    """
    if not _plain(text):
        return None
    new: dict[str, str] = {}
    for dumped in fresh:
        entry = dumped.removeprefix("stages:\n")
        key = entry.partition("\n")[0]
        if not _plain(HEAD + entry) or not key.endswith(":") or len(NEXT_ENTRY.findall(entry)) != 1:
            return None
        new[key] = entry
    # One pass, however many entries are new: the file of a large study has tens of megabytes.
    starts = [entry_start.start() for entry_start in NEXT_ENTRY.finditer(text)]
    parts, end = [], 0
    for start, following in pairwise([*starts, len(text)]):
        key = text[start : text.index("\n", start)]
        if key in new:
            parts += [text[end:start], new.pop(key)]
            end = following
    return "".join([*parts, text[end:], *new.values()])


def entry_of(text: str, key: str) -> str | None:
    """The content of a dvc.lock that holds one stage's entry only, or no entry if the stage has none.

    Args:
        text: the content of dvc.lock.
        key: the entry's first line, as DVC dumps it.

    Returns:
        None if only DVC should read the file.
    """
    if not _plain(text) or not key.endswith(":"):
        return None
    start = text.find(f"\n{key}\n") + 1
    if not start:
        return "schema: '2.0'\n"
    next_entry = NEXT_ENTRY.search(text, start + len(key))
    return HEAD + text[start : next_entry.start() if next_entry else len(text)]


def with_aliases(text: str) -> str:
    """The same content for a parser, in half the lines: an alias stands for each repeated file, such as a shared module."""
    if not _plain(text):
        return text
    numbers: dict[str, int] = {}

    def with_anchor_or_alias(match: re.Match[str]) -> str:
        number = numbers.get(match[1])
        if number is not None:
            return f"    - *f{number}\n"
        numbers[match[1]] = len(numbers)
        return f"    - &f{numbers[match[1]]}\n      {match[1]}"

    return FILE.sub(with_anchor_or_alias, text)


def _plain(text: str) -> bool:
    """Whether a dvc.lock has only what DVC writes by itself: no other top-level keys, empty lines, comments or anchors.

    Every job asks this twice of the whole file, which has megabytes in a large study; so expressions are the last resort.
    """
    if text == HEAD:
        return True
    if not (text.startswith(HEAD) and text.endswith("\n")):
        return False
    body = text[len(HEAD) : -1]
    if not body.startswith("  ") or body.count("\n") != body.count("\n  "):
        return False
    if "#" in body and COMMENT.search(body):
        return False
    return not (("&id" in body or "*id" in body) and ANCHOR.search(body))
