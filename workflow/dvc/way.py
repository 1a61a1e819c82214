"""The two ways to ask DVC: in this process by its own names, or by its command line.

The first takes a fraction of the time, and needs names that DVC may change from one version to the next. Where DVC has
changed them, the command does the same, slower.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import version
from typing import Protocol

FAILED, INTERRUPTED = 255, 252  # exit codes, as those of dvc
NOTE = "note: DVC "  # the line about the slower way begins with it
NOTE_PRINTED = "GAITPRESS_DVC_NOTE_PRINTED"  # set in the environment of processes whose user has that line


class Fate(Enum):
    """What a run would do with a stage."""

    STAYS = "is up to date"
    RETURNS = "comes back from DVC's run-cache"
    RUNS = "runs"


@dataclass(frozen=True)
class Foreseen:
    """The address of a stage, the addresses of the stages that it follows from, and its fate."""

    address: str
    after: tuple[str, ...]
    fate: Fate


class Way(Protocol):
    """The questions to DVC.

    All functions wait for other processes that use the repository (``dvc --wait-for-lock``).

    Attributes:
        Failure: the error that DVC raises; all functions may raise it.
        Busy: a failure because another process is making a stage or its inputs.
    """

    @property
    def Failure(self) -> type[Exception]: ...

    @property
    def Busy(self) -> type[Exception]: ...

    def changed(self) -> Collection[str]:
        """The addresses of all stages that are out of date by their own command, inputs, parameters or outputs."""

    def changed_after_restoring(self, wanted: Iterable[str]) -> Collection[str]:
        """Restore the wanted stages that DVC knows, and return the addresses of the stages that are still out of date.

        The way by the command line restores nothing, since no command does without running a stage. DVC knows nothing of a
        stage that follows from an outdated one before that one ran, so it may be among them.
        """

    def run(self, address: str) -> None:
        """Run a stage, or restore its outputs from the run-cache, or find that there is nothing to do."""

    def foreseen(self) -> Iterator[Foreseen]:
        """Yield what a run of everything would do with each stage, in running order."""

    def tell(self, failure: Exception) -> None:
        """Print a failure in DVC's words."""


def best() -> Way:
    """The faster way if the installed DVC allows it; otherwise the slower one, and a line on standard error says so."""
    try:
        from workflow.dvc import private
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("dvc", "dvc_data"):
            raise
        from workflow.dvc import plain

        if NOTE_PRINTED not in os.environ:
            mismatch = f"{version('dvc')} is not as this program knows it ({error.msg})"
            print(f"{NOTE}{mismatch}; its command is used instead: slower, with the same results", file=sys.stderr)
        return plain
    return private


def as_program(ask: Callable[[Way], None]) -> None:
    """Ask DVC, and end with its messages and exit codes."""
    gc.disable()  # collecting takes a tenth of the time of reading dvc.lock, and this process does not live long
    dvc = best()
    try:
        ask(dvc)
    except KeyboardInterrupt:
        print("ERROR: interrupted by the user", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except dvc.Failure as failure:
        dvc.tell(failure)
        if "not a git repository" in str(failure):  # such as an unpacked archive
            print("DVC needs a git repository around the results; type `git init` here", file=sys.stderr)
        sys.exit(FAILED)
