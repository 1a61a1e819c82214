"""Ask DVC what is out of date, by a process that gets ready while Snakemake still reads the pipeline."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ruamel.yaml.error import YAMLError

from workflow.dvc.stages import PipelineError, read_yaml
from workflow.dvc.way import NOTE, NOTE_PRINTED

DIGESTS, SHORTEST_DIGEST = ("md5", "etag", "checksum"), 3  # characters; DVC takes no shorter digest


class StatusQuery:
    """A question to DVC; leaving its ``with`` block without the answer ends the process."""

    def __init__(self, restoring: bool, log: Path) -> None:
        """Begin to ask.

        Args:
            restoring: whether DVC should first restore the results that it knows.
            log: the file to write DVC's messages to.
        """
        self._restoring = restoring
        self._log = log
        self._process = subprocess.Popen(
            [sys.executable, "-m", "workflow.dvc.status", *(["--restore"] if restoring else [])],
            stdin=subprocess.PIPE if restoring else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def answer(self, wanted: Collection[str] = ()) -> list[str]:
        """Addresses of the stages that DVC finds changed, by their own command, inputs, parameters or outputs.

        Args:
            wanted: addresses of the stages to restore.

        Raises:
            PipelineError: DVC cannot say, for instance because dvc.yaml is wrong.
        """
        changed, messages = self._process.communicate("\n".join(wanted) if self._restoring else None)
        with suppress(OSError):  # on a full disk the error below matters more than the log
            self._log.parent.mkdir(parents=True, exist_ok=True)
            self._log.write_text(messages, encoding="utf-8")
        if self._process.returncode:
            raise PipelineError(_explained(messages.strip()))
        for line in messages.splitlines():
            if line.startswith(NOTE):
                print(line, file=sys.stderr)
                os.environ[NOTE_PRINTED] = "1"  # the jobs inherit it, and need not repeat the line in their logs
        return changed.split()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.communicate()


def _explained(complaint: str) -> str:
    """DVC's complaint, with the command to type if dvc.lock is what it cannot read."""
    if not Path("dvc.lock").exists() or is_lock_file(Path("dvc.lock")):
        return f"dvc status failed:\n{complaint}"
    tracked = subprocess.run(["git", "ls-files", "--error-unmatch", "dvc.lock"], capture_output=True).returncode == 0
    command = "git checkout dvc.lock" if tracked else "mv dvc.lock dvc.lock.damaged"
    return f"dvc.lock is damaged; type `{command}` and run again: what was computed since is restored\n{complaint}"


def is_lock_file(path: Path) -> bool:
    """Whether a file is a whole dvc.lock; False if its writing was cut short, by a full disk for instance."""
    try:
        content = read_yaml(path)
    except (YAMLError, ValueError):
        return False
    if not isinstance(content, dict) or content.get("schema") != "2.0":
        return False
    entries = content.get("stages", {})
    return isinstance(entries, dict) and all(map(_is_entry, entries.values()))


def _is_entry(entry: Any) -> bool:
    """Whether an entry is that of a stage: a command, parameters by file, and details of files."""
    if not isinstance(entry, dict) or not isinstance(entry.get("cmd"), str | list):
        return False
    params = entry.get("params", {})
    if not isinstance(params, dict) or not all(isinstance(values, dict) for values in params.values()):
        return False
    files = [file for kind in ("deps", "outs") if kind in entry for file in entry[kind] or [None]]
    return all(isinstance(file, dict) and "path" in file and all(map(_is_whole, file.items())) for file in files)


def _is_whole(detail: tuple[str, Any]) -> bool:
    """Whether a detail of a file, its name and its value, is complete, as far as that shows."""
    name, value = detail
    return value is not None and not (name in DIGESTS and len(str(value)) < SHORTEST_DIGEST)
