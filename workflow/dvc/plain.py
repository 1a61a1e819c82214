"""Ask DVC by its command line, which it keeps from version to version."""

from __future__ import annotations

import ctypes
import json
import signal
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from workflow.dvc.stages import Pipeline, read_yaml
from workflow.dvc.way import Fate, Foreseen

DVC = (sys.executable, "-m", "dvc", "--wait-for-lock")
BLOCKED = "is busy, it is being blocked by"  # DVC's words for a file that another process reads or writes
PR_SET_PDEATHSIG = 1  # of linux/prctl.h


class Failure(Exception):
    """The command failed; the message is its output, unless that is already printed."""


class Busy(Failure):
    """Another process is making the stage or its inputs."""


def changed() -> Collection[str]:
    """See :class:`workflow.dvc.way.Way`."""
    try:
        return reported().keys()
    except Busy:
        # Then DVC's status names no stage at all, so this asks for each stage by itself.
        return [address for address in _output("stage", "list", "--name-only").split() if _out_of_date(address)]


def changed_after_restoring(wanted: Iterable[str]) -> Collection[str]:
    """The same as :func:`changed`: no dvc command restores without running, so a stage's own job restores its outputs."""
    list(wanted)  # read them to the end, for the asking process waits until it has written all
    return changed()


def run(address: str) -> None:
    """See :class:`workflow.dvc.way.Way`."""
    command = [*DVC, "repro", "--single-item", address]
    complaint = ""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=_end_with_parent) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                # DVC ends with these words; a process that waits and asks again need not print them again.
                if complaint or BLOCKED in line:
                    complaint += line
                else:
                    print(line, end="", file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            sys.stderr.writelines(process.stderr)  # DVC got the same interrupt, and ends when its books are in order
            raise
    if process.returncode:
        raise Busy(complaint.strip()) if complaint else Failure
    sys.stderr.write(complaint)


def foreseen() -> Iterator[Foreseen]:
    """See :class:`workflow.dvc.way.Way`. No dvc command says what DVC would restore, so such a stage counts as run."""
    yield from following(Pipeline.read("dvc.yaml", read_yaml("params.yaml")), changed())


def following(pipeline: Pipeline, out_of_date: Collection[str]) -> Iterator[Foreseen]:
    """What a run would do with each stage, in running order, if it runs these stages and all that follow from them."""
    outdated = pipeline.outdated(out_of_date)
    for address, after in pipeline.in_running_order():
        yield Foreseen(address, tuple(after), Fate.RUNS if address in outdated else Fate.STAYS)


def tell(failure: Exception) -> None:
    """See :class:`workflow.dvc.way.Way`."""
    if str(failure):
        print(failure, file=sys.stderr)


def _out_of_date(address: str) -> bool:
    try:
        return bool(reported(address))
    except Busy:
        return True


def reported(*addresses: str) -> dict[str, list[Any]]:
    """What DVC's status finds changed: of each stage its changes, in the words of ``dvc status --json``."""
    changes: dict[str, list[Any]] = json.loads(_output("status", "--json", *addresses))
    return changes


def _output(*arguments: str) -> str:
    """The standard output of a dvc command.

    Raises:
        Failure: the command failed.
    """
    done = subprocess.run([*DVC, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise (Busy if BLOCKED in done.stderr else Failure)(done.stderr.strip())
    return done.stdout


def _end_with_parent() -> None:
    """End this process if its parent is killed: nobody would wait for it, and the next run would start beside it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
