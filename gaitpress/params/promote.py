"""The section `promote`."""

from __future__ import annotations

from typing import Annotated

from gaitpress.params.values import Range, Section


class Promote(Section):
    """What the command promote asks of a new champion beside the limits of ``select``.

    Attributes:
        max_loss: points of mean rank-1 that it may be below the champion before it.
        sure: whether the whole 95 % interval of that loss must be within ``max_loss``.
    """

    max_loss: Annotated[float, Range(ge=0, le=100)] = 1.0
    sure: bool = False
