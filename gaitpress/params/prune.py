"""The section `prune`."""

from __future__ import annotations

from typing import Annotated, Literal

from gaitpress.defaults import pruning as default
from gaitpress.params.values import FileIn, Name, Percentile, Positive, Section, Wildcards


class Prune(Section):
    """Which filters go; mode "published" does not use criterion, scope, round_to, keep_min and reconstruct.

    ``device``: on which times count in mode "latency", which does not use scope; or "none".
    """

    percentiles: list[Percentile]
    mode: Literal["percentile", "published", "latency"]
    criterion: Annotated[str, FileIn("compress/pruning/criteria")]
    scope: Literal["layer", "global"]
    round_to: Positive
    keep_min: Positive
    spare: list[Annotated[str, Wildcards]]
    reconstruct: bool = default.RECONSTRUCT
    device: Name

    @property
    def reconstructs(self) -> bool:
        """Whether the layers that read pruned channels are solved anew."""
        return self.reconstruct and self.mode != "published"
