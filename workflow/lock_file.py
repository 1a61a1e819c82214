"""Entries of dvc.lock, replaced without reading and writing all the others.

DVC parses the whole file and dumps it anew after every stage: 1.5 s of processor time at 6,000 lines. The entry is DVC's own,
and so is the file: byte for byte what DVC would have written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from dvc.stage import PipelineStage
from dvc.stage.serialize import to_lockfile
from dvc.utils.serialize import dumps_yaml

HEAD = "schema: '2.0'\nstages:\n"
# What DVC never writes by itself: other top-level keys, empty lines, comments; and anchors, which are numbered per file.
UNUSUAL = re.compile(r"^(?!  )|^\s*#|[&*]id\d", re.MULTILINE)
NEXT_ENTRY = re.compile(r"^  \S", re.MULTILINE)


def record(stages: Sequence[PipelineStage]) -> None:
    """Write what is known of stages of one dvc.yaml into its dvc.lock, as DVC's ``stage.dump(update_pipeline=False)`` does."""
    if not stages:
        return
    path = Path(stages[0].dvcfile.path).with_suffix(".lock")
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    text: str | None = before
    for stage in stages:
        text = text and with_entry(text, dumps_yaml({"stages": to_lockfile(stage)}))
    if not text:
        stages[0].dvcfile.dump_stages(list(stages), update_pipeline=False)
    elif text != before:
        print(f"Updating lock file '{os.path.relpath(path)}'", flush=True)
        partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
        stages[0].repo.scm_context.track_file(os.path.relpath(path))


def with_entry(text: str, fresh: str) -> str | None:
    """A dvc.lock with an entry added, or replaced where it stands.

    Args:
        text: the content of dvc.lock.
        fresh: ``stages:`` and the entry below it, as DVC dumps them.

    Returns:
        The new content; None if one of the two is not as plain as DVC writes it, so that only DVC should touch it.
    """
    head, entries = text[: len(HEAD)], text[len(HEAD) :]
    entry = fresh.removeprefix("stages:\n")
    key = entry.partition("\n")[0] + "\n"
    if head != HEAD or not key.endswith(":\n") or len(NEXT_ENTRY.findall(entry)) != 1:
        return None
    if UNUSUAL.search(entries.removesuffix("\n")) or UNUSUAL.search(entry.removesuffix("\n")) or not entries.endswith("\n"):
        return None
    start = 0 if entries.startswith(key) else entries.find(f"\n{key}") + 1
    if not start and not entries.startswith(key):
        return f"{text}{entry}"
    after = NEXT_ENTRY.search(entries, start + len(key))
    return HEAD + entries[:start] + entry + (entries[after.start() :] if after else "")
