"""Replace entries of dvc.lock without parsing and dumping all the others.

DVC parses the whole file and dumps it anew after every stage: 1.5 s of processor time at 6,000 lines. Here DVC dumps the
entry alone, and the file is byte for byte what DVC would have written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

HEAD = "schema: '2.0'\nstages:\n"
# What DVC never writes by itself: other top-level keys, empty lines, comments; and anchors, which are numbered per file.
UNUSUAL = re.compile(r"^(?!  )|^\s*#|[&*]id\d", re.MULTILINE)
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
    before = path.read_text(encoding="utf-8") if path.exists() else ""
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
    for dumped in fresh:
        entry = dumped.removeprefix("stages:\n")
        key = entry.partition("\n")[0]
        if not _plain(HEAD + entry) or not key.endswith(":") or len(NEXT_ENTRY.findall(entry)) != 1:
            return None
        start, end = _place(text, key)
        text = text[:start] + entry + text[end:]
    return text


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
    start, end = _place(text, key)
    return HEAD + text[start:end] if end > start else "schema: '2.0'\n"


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
    return text.startswith(HEAD) and text.endswith("\n") and not UNUSUAL.search(text[len(HEAD) : -1])


def _place(text: str, key: str) -> tuple[int, int]:
    """The start and the end of the entry with a key; twice the end of the text if there is none."""
    start = text.find(f"\n{key}\n") + 1
    if not start:
        return len(text), len(text)
    next_entry = NEXT_ENTRY.search(text, start + len(key))
    return start, next_entry.start() if next_entry else len(text)
