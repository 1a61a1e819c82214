"""YAML files with their comments: read, merged, and written in the form of params.yaml.

That form has two spaces for each level, lists on one line, and the comments that stand beside keys in one column.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, ScalarNode

COLUMN = 36  # of the comments beside keys


@dataclass
class Entry:
    """A key's value and comments.

    Attributes:
        value: the entries of a section by their keys; the text of any other value, on one line.
        above: the lines above the key: comments, or "" for an empty line.
        beside: the comment on the key's line, or "".
        block: whether a section has a line for each of its keys.
    """

    value: dict[str, Entry] | str
    above: list[str] = field(default_factory=list)
    beside: str = ""
    block: bool = False


@dataclass
class Document:
    """A file.

    Attributes:
        head: the comments at its top, up to the first line that is empty or has a key.
        entries: its sections by their keys.
        tail: the comments below all keys.
    """

    head: list[str]
    entries: dict[str, Entry]
    tail: list[str]

    def text(self) -> str:
        """The file as it is written."""
        lines = [*self.head, *([""] if self.head else []), *_lines(self.entries, ""), *self.tail]
        return "\n".join(lines) + "\n"


def parse(text: str) -> Document:
    """Read a file that is valid YAML and holds a mapping."""
    reader = _Reader(text)
    root = YAML(typ="safe", pure=True).compose(text)
    entries = reader.section(root)
    tail = reader.lines_before(len(reader.lines))
    above = next(iter(entries.values())).above if entries else tail
    end = above.index("") if "" in above else len(above)
    head = above[:end]
    del above[: end + 1]
    return Document(head, entries, tail)


class _Reader:
    """Goes through the lines of a file once, and gives each comment to the key that it stands above or beside."""

    def __init__(self, text: str) -> None:
        self.lines = text.splitlines()
        self.next = 0  # the first line that is not yet read
        self.ends: dict[int, int] = {}  # by line, the column where its last token ends
        for token in YAML(typ="safe", pure=True).scan(text):
            if token.start_mark.index < token.end_mark.index:
                self.ends[token.end_mark.line] = token.end_mark.column

    def section(self, node: Any) -> dict[str, Entry]:
        entries = {}
        for key, value in node.value:
            above = self.lines_before(key.start_mark.line)
            block = isinstance(value, MappingNode) and not value.flow_style
            last = key.start_mark.line if block else max(key.start_mark.line, _last_line(value))
            *inside, beside = [self.comment(line) for line in range(key.start_mark.line, last + 1)]
            self.next = max(self.next, last + 1)
            # Of a list on several lines, which will be on one, the comments go above it.
            above += [comment for comment in inside if comment]
            entries[_scalar(key)] = Entry(self.section(value) if block else _on_one_line(value), above, beside, block)
        return entries

    def lines_before(self, line: int) -> list[str]:
        """The comments and empty lines from the next line on, up to ``line``, without what they are indented by."""
        lines = [text.strip() for text in self.lines[self.next : line]]
        self.next = max(self.next, line)
        return [text for text in lines if text.startswith("#") or not text]

    def comment(self, line: int) -> str:
        rest = self.lines[line][self.ends.get(line, 0) :].strip()
        return rest if rest.startswith("#") else ""


def _last_line(node: Any) -> int:
    if isinstance(node, ScalarNode):
        if not node.style and not node.value:  # nothing stands there, and the mark is that of what follows
            return 0
        return int(node.end_mark.line - (node.style in ("|", ">")))
    if node.flow_style:
        return int(node.end_mark.line)
    parts = [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
    return max(map(_last_line, parts))


def _on_one_line(node: Any) -> dict[str, Entry] | str:
    if isinstance(node, MappingNode):
        return {_scalar(key): Entry(_on_one_line(value)) for key, value in node.value}
    if isinstance(node, ScalarNode):
        return _scalar(node)
    return f"[{', '.join(_flow(_on_one_line(item)) for item in node.value)}]"


def _scalar(node: Any) -> str:
    """The text of a number, a word or the like as it stands in the file, so that 1e-3 stays 1e-3."""
    value: str = node.value
    if node.style == "'" and "\n" not in value:
        return "'" + value.replace("'", "''") + "'"
    if node.style or set(value) & set(",[]{}"):  # a plain one with these would mean something else in a list
        return json.dumps(value, ensure_ascii=False)
    return value or "null"


def keys(entries: dict[str, Entry]) -> Iterator[str]:
    """All keys with their sections', such as ``prune.round_to``."""
    for key, entry in entries.items():
        yield key
        if isinstance(entry.value, dict):
            yield from (f"{key}.{inner}" for inner in keys(entry.value))


def remove(entries: dict[str, Entry], path: str) -> bool:
    """Remove a key, such as ``model.gaitgl``, with its comments; whether it was there."""
    for key, entry in entries.items():
        if path == key:
            del entries[key]
            return True
        # A key may have dots itself.
        if path.startswith(f"{key}.") and isinstance(entry.value, dict) and remove(entry.value, path[len(key) + 1 :]):
            return True
    return False


def merge(entries: dict[str, Entry], changes: dict[str, Entry]) -> None:
    """Make changes to entries, in place.

    Sections are merged; any other value replaces the former one as a whole. A new key follows the one that it follows among
    the changes. A comment beside a key replaces the former one; comments above a key follow the former ones.
    """
    before = None
    for key, new in changes.items():
        old = entries.get(key)
        if old is None:
            _insert(entries, key, new, before)
        else:
            if isinstance(old.value, dict) and isinstance(new.value, dict):
                merge(old.value, new.value)
                old.block |= new.block
            else:
                old.value, old.block = new.value, new.block
            old.above += [line for line in new.above if line]
            old.beside = new.beside or old.beside
        before = key


def _insert(entries: dict[str, Entry], key: str, new: Entry, before: str | None) -> None:
    """Put a key after ``before``, or first where there is none."""
    place = 0 if before is None else list(entries).index(before) + 1
    items = list(entries.items())
    entries.clear()
    entries.update([*items[:place], (key, new), *items[place:]])


def _lines(entries: dict[str, Entry], indent: str) -> Iterator[str]:
    for key, entry in entries.items():
        yield from (f"{indent}{line}".rstrip() for line in entry.above)
        if isinstance(entry.value, dict) and entry.value and entry.block:
            yield _beside(f"{indent}{key}:", entry.beside)
            yield from _lines(entry.value, f"{indent}  ")
        else:
            yield _beside(f"{indent}{key}: {_flow(entry.value)}", entry.beside)


def _beside(line: str, comment: str) -> str:
    if not comment:
        return line
    return f"{line:{COLUMN}}{comment}" if len(line) < COLUMN else f"{line}  {comment}"


def _flow(value: dict[str, Entry] | str) -> str:
    if isinstance(value, str):
        return value
    return "{" + ", ".join(f"{key}: {_flow(entry.value)}" for key, entry in value.items()) + "}"
