"""DVC's repository, for one question or one job in a process of its own, in a fraction of the time of its command line."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.utils.serialize import LOADERS

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
def params_read_once() -> Iterator[None]:
    """Let DVC parse params.yaml once, not several times for every stage.

    A stage reads its parameters when it starts. Were they edited while it runs, DVC would note the new ones as its own.
    """
    load, parsed = LOADERS[".yaml"], {}

    def remembered(path: Any, fs: Any = None, **options: Any) -> Any:
        if str(path) not in parsed:
            parsed[str(path)] = load(path, fs=fs, **options)
        return deepcopy(parsed[str(path)])

    LOADERS[".yaml"] = remembered
    try:
        yield
    finally:
        LOADERS[".yaml"] = load


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
