"""One run of Snakemake. This file alone uses Python names that Snakemake documents nowhere.

They were tried with Snakemake 9.27.1.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from snakemake.io import ancient, directory, report
from snakemake.logging import logger

from workflow.snakemake.time_left import TimeLeft

__all__ = ["Session", "ancient", "directory", "has_gpu", "report"]

NAMES = ("is_main_process", "global_resources", "resource_settings")
DEFAULT_LIMIT, DEFAULT_TIMESPAN_S = 100, 1  # Snakemake's default: at most so many jobs in so many seconds


class Session:
    """Facts and settings of a run of Snakemake.

    Attributes:
        main: whether this is the process that plans; each job reads the Snakefile once more.
        on_cluster: whether jobs go to a cluster, where their number is limited, and not their cores.
        cores: the number of cores that jobs here may use.
        running: the lock that says that a Snakemake runs, open for as long as it does.
    """

    running: IO[str]

    def __init__(self, workflow: Any) -> None:
        """Look at Snakemake; if it lacks a name that this needs, end the process with a message.

        Args:
            workflow: the object of that name in a Snakefile.
        """
        lacking = [name for name in NAMES if not hasattr(workflow, name)]
        if lacking:
            sys.exit(
                f"error: Snakemake {version('snakemake')} has no workflow.{lacking[0]}; pip install 'snakemake>=9.27,<10'"
            )
        self._workflow = workflow
        self.main: bool = workflow.is_main_process
        self.on_cluster = workflow.resource_settings.nodes is not None
        self.cores: int = workflow.resource_settings.cores or os.cpu_count() or 1

    def limit(self, resource: str, most: int) -> None:
        """Let the running jobs together take at most ``most`` of a resource, unless the user has set another limit."""
        self._workflow.global_resources.setdefault(resource, most)

    def look_for_jobs_when_one_has_ended(self) -> None:
        """Let Snakemake look for jobs to start only when one has ended.

        With its default limit Snakemake looks again a second after each look. So every job that ends adds a look a second
        for as long as other jobs wait: after a hundred jobs the looks take a third of a core. A limit that the user has set,
        such as for a cluster, stays; and a Snakemake that limits jobs in another way stays as it is.
        """
        scheduler = self._workflow.scheduler
        limit = getattr(scheduler, "job_rate_limiter", None)
        default = DEFAULT_LIMIT, DEFAULT_TIMESPAN_S
        if limit is not None and (getattr(limit, "max_jobs", None), getattr(limit, "timespan", None)) == default:
            scheduler.job_rate_limiter = None

    def print_time_left(self, left: TimeLeft, address_of: Callable[[str, Mapping[str, str]], str | None]) -> None:
        """Print how long the run will still take, below each of Snakemake's lines that say how many steps are done.

        Where Snakemake prints no such lines, as with ``--quiet`` or with a logger of the user's, nothing is printed.

        Args:
            left: the jobs of this run.
            address_of: the address of the stage of a rule's name and a job's wildcards; None for other rules.
        """
        for handler in logger.handlers:
            if isinstance(handler, logging.StreamHandler) and handler.name == "DefaultStreamHandler":
                logger.addHandler(_Below(handler, left, address_of))


class _Below(logging.Handler):
    """Follows the events of a run, and adds lines below those of Snakemake's own handler."""

    def __init__(
        self,
        lines: logging.StreamHandler[Any],
        left: TimeLeft,
        address_of: Callable[[str, Mapping[str, str]], str | None],
    ) -> None:
        super().__init__()
        self._lines, self._left, self._address_of = lines, left, address_of
        self._addresses: dict[int, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        event, of_event = getattr(record, "event", None), vars(record)
        if event == "job_info":
            if address := self._address_of(of_event["rule_name"], of_event["wildcards"] or {}):
                self._addresses[of_event["jobid"]] = address
                self._left.started(address)
        elif event == "job_finished":
            self._left.ended(self._addresses.get(of_event["job_id"], ""))
        elif event == "progress" and self._lines.filter(record) and (words := self._left.words()):
            print(words, file=self._lines.stream, flush=True)


def has_gpu() -> bool:
    """Whether this machine has an NVIDIA GPU."""
    return any(Path("/proc/driver/nvidia/gpus").glob("*"))
