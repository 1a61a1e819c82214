"""The section `report`."""

from __future__ import annotations

from typing import Annotated

from gaitpress.params.values import Range, Section


class Report(Section):
    """How variants are judged.

    Attributes:
        max_loss: points of mean rank-1 that an engine in fp16 or int8 may be below the same network's in fp32.
    """

    max_loss: Annotated[float, Range(ge=0, le=100)]
