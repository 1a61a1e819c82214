"""The section `report`."""

from __future__ import annotations

from typing import Annotated

from gaitpress.params.values import Range, Section


class Report(Section):
    """The limits by which the report judges variants.

    Attributes:
        max_loss: the most points of mean rank-1 that a lower precision may lose against the same network in fp32.
    """

    max_loss: Annotated[float, Range(ge=0, le=100)]
