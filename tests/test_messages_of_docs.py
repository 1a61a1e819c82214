"""Every message that the guides explain is one that the code says."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.support.toy import ROOT

PACKAGES = ("gait", "gaitpress", "compress", "remote", "workflow", "stages", "tracking", "report")
GAP = "\0"  # what the code fills in
ROW = re.compile(r"^\| (`.*?) \| ")


def quoted(page: str) -> list[str]:
    """The messages in the first column of a page's tables headed "What it says"."""
    messages, within = [], False
    for line in (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines():
        within = line.startswith("| What it says |") or (within and line.startswith("|"))
        if within and (row := ROW.match(line)):
            messages += re.findall(r"`([^`]+)`", row[1])
    return messages


@cache
def said() -> str:
    """All texts of the code, a line each; what the code fills in is GAP."""
    texts = [(ROOT / "Makefile").read_text(encoding="utf-8").replace("\n", " ").replace("$$", GAP)]
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            texts += _texts(ast.parse(path.read_text(encoding="utf-8")))
    return "\n".join(" ".join(text.split()) for text in texts)


def _texts(tree: ast.AST) -> list[str]:
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.append(node.value)
        elif isinstance(node, ast.JoinedStr):
            texts.append("".join(part.value if isinstance(part, ast.Constant) else GAP for part in node.values))  # type: ignore[misc]
    return texts


def explained(message: str) -> bool:
    """Whether the code says a message, in one text; "..." stands for any words."""
    parts = [re.escape(part.strip()) for part in message.split("...") if part.strip()]
    return bool(parts) and re.search(r"[^\n]*?".join(parts), said()) is not None


@pytest.mark.parametrize("page", ["troubleshooting.md", "devices.md"])
def test_the_code_says_what_a_page_explains(page: str) -> None:
    messages = quoted(page)
    assert len(messages) > 15
    assert [message for message in messages if not explained(message)] == []


def test_a_message_that_the_code_does_not_say_is_found() -> None:
    assert explained("the silhouettes are dark on bright; invert them")
    assert not explained("the silhouettes are dark on white; invert them")
    assert not explained("several devices are listed; ... dark on bright")
