"""Which stages no longer stand in dvc.lock as they are declared, whether or not their data are on this computer.

DVC's status counts missing data as a change. In a fresh clone all data are missing, and nothing need be out of date.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workflow.dvc import plain
from workflow.dvc.stages import Pipeline

NEVER_RUN = "never run"


def stale(pipeline: Pipeline, lock: Path = Path("dvc.lock")) -> dict[str, list[str]]:
    """The stages whose settings, code or outputs differ from what dvc.lock has, and in what.

    Stages that only follow from these are left out.

    Args:
        pipeline: of this folder.
        lock: its dvc.lock.

    Returns:
        By address what differs, such as "prune.criterion", "stages/prune.py" or "never run".
    """
    known = lock.read_text(encoding="utf-8") if lock.exists() else ""
    outdated = {}
    for address, changes in plain.reported().items():
        if f"\n  {address}:\n" not in known:
            outdated[address] = [NEVER_RUN]
        elif differing := list(dict.fromkeys(_differing(changes, pipeline))):
            outdated[address] = differing
    return outdated


def _differing(changes: list[Any], pipeline: Pipeline) -> Iterator[str]:
    for change in changes:
        if not isinstance(change, Mapping):
            yield str(change)  # such as "changed command"
            continue
        for kind, files in change.items():
            for path, fate in files.items():
                if isinstance(fate, Mapping):
                    yield from fate  # keys of params.yaml
                elif not (kind == "changed outs" and fate == "not in cache") and not pipeline.missing(path):
                    yield path
