"""Snakemake's choice of what runs next, without the work that it does for nothing."""

from __future__ import annotations

from typing import Any

DEFAULT_LIMIT, DEFAULT_TIMESPAN_S = 100, 1  # jobs that Snakemake starts in so many seconds, unless it is told a limit


def lift_default_limit(scheduler: Any) -> None:
    """Let a ``JobScheduler`` look for jobs to start when a job has ended, and at no other time.

    For the sake of its limit it looks again a second after each time that it looked. So every job that ends adds one look
    a second for as long as other jobs wait: after a hundred jobs these take a third of a core. A limit that a user has set,
    such as for a cluster, stays.
    """
    limit = scheduler.job_rate_limiter
    if limit is not None and (limit.max_jobs, limit.timespan) == (DEFAULT_LIMIT, DEFAULT_TIMESPAN_S):
        scheduler.job_rate_limiter = None
