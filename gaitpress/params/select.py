"""The section `select`."""

from __future__ import annotations

from typing import Annotated

from gaitpress.defaults import choice as default
from gaitpress.params.values import Name, Positive, Range, Rate, Section, limit


class Select(Section):
    """What the commands select and bundle choose by; options on their command lines go before these.

    Attributes:
        max_loss: points of mean rank-1 that a variant may be below its dense network: the budget of the report, and of the
            commands where no limit is given. None: without a limit they choose the most accurate variant.
        sure: whether the whole 95 % interval of the loss must be within the budget, not only the measured loss.
    """

    max_loss: Annotated[float, Range(ge=0, le=100)] | None = default.MAX_LOSS
    sure: bool = default.SURE
    device: Name | None = None
    max_latency: Annotated[str, limit("s", "ms", "us")] | None = None
    min_rank1: Annotated[float, Range(gt=0, le=100)] | None = None
    min_tar: Annotated[float, Range(gt=0, le=100)] | None = None
    max_energy: Annotated[str, limit("J", "mJ", "uJ")] | None = None
    max_size: Annotated[str, limit("GB", "MB", "kB", "B", "GiB", "MiB", "KiB")] | None = None
    people: Positive | None = None
    fps: Rate | None = None
