"""DVC's repository, for one question or one job in a process of its own, in a fraction of the time of its command line."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from dvc.exceptions import DvcException
from dvc.repo import Repo

from workflow import stale_rwlock

FAILED, INTERRUPTED = 255, 252  # as dvc
log = logging.getLogger("dvc")  # whose handlers print messages as dvc does: errors as a chain of causes, in one line


@contextmanager
def opened() -> Iterator[Repo]:
    """This repository; whoever else uses it is waited for (``dvc --wait-for-lock``)."""
    with Repo(_wait_for_lock=True) as repo, stale_rwlock.replaced_at_once():
        stale_rwlock.mend(repo)
        yield repo


@contextmanager
def answering() -> Iterator[TextIO]:
    """The standard output for an answer alone; what DVC prints while it works goes to the standard error."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answer:
        os.dup2(2, 1)
        yield answer


def as_program(main: Callable[[], None]) -> None:
    """Run ``main``, and end as dvc would: with its messages and exit codes."""
    gc.disable()  # a tenth of the time of reading dvc.lock, and such a process does not live long
    try:
        main()
    except KeyboardInterrupt:
        log.error("interrupted by the user")
        sys.exit(INTERRUPTED)
    except DvcException:
        log.exception("")
        sys.exit(FAILED)
