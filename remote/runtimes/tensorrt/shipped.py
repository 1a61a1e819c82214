"""An engine of TensorRT in a bundle, run by TensorRT's Python bindings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from gaitpress_runtime import bindings


def opened(file: Path, version: str, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """The engine that a version of TensorRT built; it takes no threads of a processor.

    Raises:
        ValueError: the bindings are not here, or of another version.
        RuntimeError: TensorRT refuses the engine.
    """
    try:
        engine = bindings.opened(str(file), version)
    except bindings.Absent as error:
        raise ValueError(str(error)) from None

    def run(inputs: np.ndarray) -> np.ndarray:
        shape, values = engine(list(inputs.shape), np.ascontiguousarray(inputs, np.float32).tobytes())
        return np.frombuffer(values, np.float32).reshape(shape)

    return run
