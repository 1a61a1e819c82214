"""The loader of ONNX Runtime's engine in a bundle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np


def opened(file: Path, version: str, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function that runs an engine; the graph stays as this version of ONNX Runtime optimised it.

    Raises:
        ValueError: another version is installed here, or none.
    """
    try:
        import onnxruntime
    except ImportError:
        raise ValueError("onnxruntime is not installed here; pip install onnxruntime") from None
    if onnxruntime.__version__ != version:
        raise ValueError(f"here is ONNX Runtime {onnxruntime.__version__}, and the engine was built by {version}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(inputs: np.ndarray) -> np.ndarray:
        outputs: np.ndarray = session.run(None, {name: inputs})[0]
        return outputs

    return run
