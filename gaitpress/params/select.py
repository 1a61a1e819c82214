"""The section `select`."""

from __future__ import annotations

from typing import Annotated

from gaitpress.params.values import Name, Positive, Range, Rate, Section, limit


class Select(Section):
    """What the commands select and bundle choose by; options on their command lines go before these."""

    device: Name | None = None
    max_latency: Annotated[str, limit("s|ms|us")] | None = None
    min_rank1: Annotated[float, Range(gt=0, le=100)] | None = None
    max_energy: Annotated[str, limit("J|mJ|uJ")] | None = None
    max_size: Annotated[str, limit("GB|MB|kB|B|GiB|MiB|KiB")] | None = None
    people: Positive | None = None
    fps: Rate | None = None
