"""The section `train`."""

from __future__ import annotations

from typing import Annotated

from gaitpress.params.values import Natural, Positive, Range, Section


class Train(Section):
    """Settings of all trainings, fine-tuning included; only ``processes`` can change a result."""

    processes: Positive
    workers: Natural
    checkpoint_s: Annotated[float, Range(ge=0)]
