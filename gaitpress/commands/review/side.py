"""One of the two states of the repository that are compared: its settings and the records that its dvc.lock names."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaitpress import params
from gaitpress.errors import StageError
from gaitpress.params import Params, ParamsError
from gaitpress.results.folders import Folders
from gaitpress.results.records import Row, load

PARAMS = "params.yaml"
PUSH = "whoever made them types `dvc push --run-cache`"


@dataclass(frozen=True)
class Side:
    """A state of the repository.

    Attributes:
        name: for people.
        content: params.yaml, unchecked.
        settings: the same, checked; None if this program cannot take it.
        rows: its variants, as far as their records can be read.
        fault: why not all can be; "" if all can.
    """

    name: str
    content: Mapping[str, Any]
    settings: Params | None
    rows: list[Row]
    fault: str


def branching_point(base: str) -> str:
    """The commit from which what is checked out here went its own way.

    Raises:
        StageError: there is none, or no such commit.
    """
    done = subprocess.run(["git", "merge-base", "--", base, "HEAD"], capture_output=True, text=True)
    if done.returncode:
        why = " ".join(done.stderr.split()) or "it has no commit in common with what is checked out"
        if "not a git repository" in why:
            raise StageError(f"{Path.cwd()} is not a git repository: a review needs its history; clone it")
        raise StageError(f"{base}: {why}; fetch it (`git fetch --unshallow` where the clone has the last commits alone)")
    return done.stdout.strip()


def read(name: str, commit: str | None, scratch: Path) -> Side:
    """A state of the repository, with its records from this folder, DVC's cache or its store; nothing here changes.

    Args:
        name: for people.
        commit: None for what is checked out, with uncommitted edits.
        scratch: an empty folder.

    Raises:
        StageError: it has no params.yaml.
    """
    from dvc.api import DVCFileSystem

    files = DVCFileSystem(rev=commit)
    shown = Path(f"{PARAMS} of {name}")
    try:
        content = params.parse(files.read_text(f"/{PARAMS}", encoding="utf-8"), shown)
    except FileNotFoundError:
        raise StageError(f"{name}: has no {PARAMS}") from None
    try:
        settings = params.check(content, shown)
    except ParamsError as error:
        return Side(name, content, None, [], f"this program cannot take its settings: {error}")
    folders, lock = Folders(scratch), files.read_text("/dvc.lock", encoding="utf-8") if files.exists("/dvc.lock") else ""
    kinds = "|".join(folder.name for folder in (folders.benchmark, folders.recognise))
    wanted = re.findall(rf"^ +- path: results/((?:{kinds})/.+\.json)$", lock, re.MULTILINE)
    wanted = list(dict.fromkeys(path for path in wanted if files.exists(f"/results/{path}")))
    missing = [problem for path in wanted if (problem := _fetched(files, f"/results/{path}", scratch / path))]
    return Side(name, content, settings, *_rows(folders, settings, len(wanted), missing))


def _fetched(files: Any, path: str, target: Path) -> str | None:
    """Bring a file; why it cannot be had, or None."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        files.get_file(path, str(target))
    except Exception as error:  # each kind of store raises errors of its own library
        target.unlink(missing_ok=True)
        reason = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) and error.filename else str(error)
        return " ".join(reason.split()) or type(error).__name__
    return None


def _rows(folders: Folders, settings: Params, wanted: int, missing: list[str]) -> tuple[list[Row], str]:
    fault = f"{len(missing)} of {wanted} records are neither here nor in the store ({missing[0]}); {PUSH}" if missing else ""
    if len(missing) == wanted:
        return [], fault or "no results to compare: its dvc.lock names no record"
    try:
        return load(folders, settings), fault
    except StageError as error:
        return [], "; ".join(part for part in (str(error).replace(f"{folders.results}/", "results/"), fault) if part)
