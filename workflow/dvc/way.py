"""The two ways in which DVC is asked here: by its own names in this process, or by its command line.

The first takes a fraction of the time, and needs names of DVC that it may change from one version to the next. Where they
are not as they are known here, the command does the same, slower.
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

FAILED, INTERRUPTED = 255, 252  # as dvc
NOTE = "note: DVC "  # how the line begins that tells of the slower way
TOLD = "GAITPRESS_TOLD_OF_DVC"  # in the environment of processes whose user has read that line


class Fate(Enum):
    """What a run would do with a stage."""

    STAYS = "is up to date"
    RETURNS = "comes back from DVC's run-cache"
    RUNS = "runs"


@dataclass(frozen=True)
class Foreseen:
    """A stage, those that it follows from, all by their addresses, and its fate."""

    address: str
    after: tuple[str, ...]
    fate: Fate


class Way(Protocol):
    """What is asked of DVC.

    Whoever else uses the repository is waited for (``dvc --wait-for-lock``).

    Attributes:
        Failure: what DVC raises; all functions may.
        Busy: a failure because another process is making a stage, or what it reads.
    """

    @property
    def Failure(self) -> type[Exception]: ...

    @property
    def Busy(self) -> type[Exception]: ...

    def changed(self) -> Collection[str]:
        """The addresses of all stages that are out of date by their own command, inputs, parameters or outputs."""

    def changed_after_restoring(self, wanted: Iterable[str]) -> Collection[str]:
        """The same once what DVC knows of the stages wanted is restored, by those who can do that without running any.

        Of a stage that follows from one that is out of date nothing is known before that one ran, so it may be among them.
        """

    def run(self, address: str) -> None:
        """Run a stage, restore what it is known to make, or find that there is nothing to do."""

    def foreseen(self) -> Iterator[Foreseen]:
        """What a run of everything would do with each stage, in running order."""

    def tell(self, failure: Exception) -> None:
        """Print a failure in DVC's words."""


def best() -> Way:
    """The faster way if the installed DVC allows it; otherwise the other one, and one line on the standard error says so."""
    try:
        from workflow.dvc import private
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("dvc", "dvc_data"):
            raise
        from workflow.dvc import plain

        if TOLD not in os.environ:
            found = f"{version('dvc')} is not as this program knows it ({error.msg})"
            print(f"{NOTE}{found}; its command is used instead: slower, with the same results", file=sys.stderr)
        return plain
    return private


def as_program(ask: Callable[[Way], None]) -> None:
    """Ask DVC, and end as it would: with its messages and exit codes."""
    gc.disable()  # a tenth of the time of reading dvc.lock, and such a process does not live long
    dvc = best()
    try:
        ask(dvc)
    except KeyboardInterrupt:
        print("ERROR: interrupted by the user", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except dvc.Failure as failure:
        dvc.tell(failure)
        sys.exit(FAILED)
