"""Int8 files with all layers in int8."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from compress.precision import quantization


def to_int8(
    source: Path,
    target: Path,
    calibration: Iterable[np.ndarray],
    method: str,
    per_channel: bool,
    activations: str,
    weight_bits: int,
) -> None:
    """Calibrate a network and write it; for the arguments see :mod:`compress.precision.quantization`."""
    with quantization.calibrated(source, calibration, method, per_channel) as network:
        network.write(target, quantization.Int8(activations, weight_bits, "kernels"))
