"""The section `export`."""

from __future__ import annotations

from typing import Annotated, Literal

from gaitpress.params.values import Positive, Range, Section


class Export(Section):
    """``max_batch``: the most sequences in a batch; 1 fixes the batch axis.

    ``dynamic_frames``: whether networks take any number of frames; "auto": those for processors do, TensorRT's do not."""

    opset: Annotated[int, Range(ge=11, le=20)]
    dynamic_frames: Literal["auto"] | bool
    max_batch: Positive
