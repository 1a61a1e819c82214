"""The section `benchmark`."""

from __future__ import annotations

from typing import Annotated

from gaitpress.params.values import Natural, Positive, Range, Rate, Section


class Benchmark(Section):
    """``batch``: the batch of the full measurement; ``sweep``: further batches to time in less detail."""

    session: Natural
    batch: Positive
    sweep: list[Positive]
    threads: Positive
    warmup_s: Annotated[float, Range(ge=0)]
    duration_s: Rate
    min_queries: Positive
    repeats: Positive
    max_cov: Rate
