"""The section `quantize`."""

from __future__ import annotations

from typing import Annotated, Literal

from gaitpress.defaults import precision as default
from gaitpress.params.values import Positive, Range, Section


class Quantize(Section):
    """With "auto", each kind of device gets its best form of int8; any other value holds for all devices."""

    calibration_sequences: Positive
    method: Literal["minmax", "entropy", "percentile"]
    activations: Literal["auto", "uint8", "int8"] = default.ACTIVATIONS
    weight_bits: Literal["auto", 7, 8] = default.WEIGHT_BITS
    per_channel: bool
    max_error: Annotated[float, Range(gt=0, le=1)] | None = None
