"""The section `benchmark`."""

from __future__ import annotations

from typing import Annotated

from gaitpress.params.values import Natural, Positive, Range, Rate, Section


class Benchmark(Section):
    """``batch``: of what is measured in full; ``sweep``: batches that are timed as well, in less detail."""

    session: Natural
    batch: Positive
    sweep: list[Positive]
    threads: Positive
    warmup_s: Annotated[float, Range(ge=0)]
    duration_s: Rate
    min_queries: Positive
    repeats: Positive
    max_cov: Rate
