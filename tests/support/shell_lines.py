"""The commands that a page of Markdown shows: in its blocks, and between backticks in its text."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.toy import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# Their words are checked; those of other programs are not ours.
CHECKED = ("python", "python3", "snakemake", "dvc", "make", "mlflow", "torchrun")
BLOCK = re.compile(r"^```(?:sh|bash|console)?\n(.*?)^```|((?:^ {4}.*\n)+)", re.MULTILINE | re.DOTALL)
INLINE = re.compile(rf"`((?:{'|'.join(CHECKED)}) [^`]*)`")
ENDS = {"&&", "||", ";", "|", "&"}


@dataclass(frozen=True)
class Shown:
    """A command of a page.

    Attributes:
        page: such as "docs/data.md".
        line: where it begins, from 1.
        words: the program and what follows, without redirections.
        whole: whether it stands in a block, where nothing is left out.
    """

    page: str
    line: int
    words: tuple[str, ...]
    whole: bool

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {shlex.join(self.words)}"


def shown(page: Path) -> Iterator[Shown]:
    """The commands of a page whose words are checked."""
    text, name = page.read_text(encoding="utf-8"), str(page.relative_to(ROOT))
    for block in BLOCK.finditer(text):
        first = text.count("\n", 0, block.start()) + (1 if block[2] else 2)
        for number, line in _lines(block[2] or block[1] or ""):
            yield from (Shown(name, first + number, words, True) for words in _commands(line) if words[0] in CHECKED)
    for part in INLINE.finditer(text):
        number = text.count("\n", 0, part.start()) + 1
        yield from (Shown(name, number, words, False) for words in _commands(part[1]) if words[0] in CHECKED)


def lines(page: Path) -> list[str]:
    """The lines of a page's blocks that begin with a program, as they stand, in order; comments at their ends go."""
    text = page.read_text(encoding="utf-8")
    in_blocks = [line for block in BLOCK.finditer(text) for _, line in _lines(block[2] or block[1] or "")]
    return [
        re.sub(r"\s+#.*", "", line)
        for line in in_blocks
        if re.match(r"(cd|git|scp|ln|source|" + "|".join(CHECKED) + ") ", line)
    ]


def _lines(block: str) -> Iterator[tuple[int, str]]:
    """Lines, each with those that go on with it, and their numbers from 0."""
    begun, since = "", 0
    for number, line in enumerate(block.splitlines()):
        since = since if begun else number
        begun += line.strip().removesuffix("\\")
        if not line.rstrip().endswith("\\"):
            yield since, begun
            begun = ""


def _commands(line: str) -> Iterator[tuple[str, ...]]:
    if line.split(" ")[0] not in {*CHECKED, "cd", "git", "mkdir", "scp", ".venv/bin/python"}:
        return
    reader = shlex.shlex(line, posix=True, punctuation_chars="&|;>")
    reader.whitespace_split, reader.commenters = True, "#"
    words: list[str] = []
    redirected = False
    for word in [*reader, ";"]:
        if word in ENDS:
            if words:
                yield tuple(words)
            words = []
        elif redirected or word in (">", ">>"):
            redirected = not redirected
        else:
            words.append(word)
