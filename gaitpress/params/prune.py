"""The section `prune`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from gaitpress.params.values import FileIn, Percentile, Positive, Section


class Prune(Section):
    """Which filters go. In mode "published" criterion, scope, round_to and keep_min are not used: docs/pruning.md."""

    percentiles: list[Percentile]
    mode: Literal["percentile", "published"]
    criterion: Annotated[str, FileIn("compress/pruning/criteria")]
    scope: Literal["layer", "global"]
    round_to: Positive
    keep_min: Positive
    spare: list[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.*?\[\]!-]+$", max_length=64)]]
