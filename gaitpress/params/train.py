"""The section `train`."""

from __future__ import annotations

from typing import Annotated

from gaitpress.params.values import Natural, Positive, Range, Section


class Train(Section):
    """What holds for all trainings, fine-tuning included; of these, only ``processes`` can change a result."""

    processes: Positive
    workers: Natural
    checkpoint_s: Annotated[float, Range(ge=0)]
