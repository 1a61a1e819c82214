"""One run of Snakemake, by names of Python that it documents nowhere: all of these that are used stand in this file.

They were tried with Snakemake 9.27.1.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from snakemake.io import ancient, directory, report

__all__ = ["Session", "ancient", "directory", "has_gpu", "report"]

NAMES = ("is_main_process", "global_resources", "resource_settings")
DEFAULT_LIMIT, DEFAULT_TIMESPAN_S = 100, 1  # jobs that Snakemake starts in so many seconds, unless it is told a limit


class Session:
    """What Snakemake tells a Snakefile of its run, and is told.

    Attributes:
        main: whether this is the process that plans; each job reads the Snakefile once more.
        on_cluster: whether jobs go to a cluster, where they are limited in number, and not by cores.
        cores: how many jobs here may use.
        running: the lock that says that a Snakemake runs, open for as long as it does.
    """

    running: IO[str]

    def __init__(self, workflow: Any) -> None:
        """Look at Snakemake; with one that has not what is needed, the process ends and says so.

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
        """Let all jobs at work at once take so much of a resource, unless the user has set another limit."""
        self._workflow.global_resources.setdefault(resource, most)

    def look_for_jobs_when_one_has_ended(self) -> None:
        """Let Snakemake look for jobs to start at no other time.

        For the sake of its default limit it looks again a second after each time that it looked. So every job that ends adds
        one look a second for as long as other jobs wait: after a hundred jobs these take a third of a core. A limit that a
        user has set, such as for a cluster, stays; and so does all of it with a Snakemake that has another way.
        """
        scheduler = self._workflow.scheduler
        limit = getattr(scheduler, "job_rate_limiter", None)
        default = DEFAULT_LIMIT, DEFAULT_TIMESPAN_S
        if limit is not None and (getattr(limit, "max_jobs", None), getattr(limit, "timespan", None)) == default:
            scheduler.job_rate_limiter = None


def has_gpu() -> bool:
    """Whether this machine has a GPU of NVIDIA's."""
    return any(Path("/proc/driver/nvidia/gpus").glob("*"))
