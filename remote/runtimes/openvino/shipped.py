"""The loader of OpenVINO's engine in a bundle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np


def opened(file: Path, version: str, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function that runs an engine, which is a line of JSON and the compiled network.

    Raises:
        ValueError: another version is installed here, or none.
    """
    try:
        import openvino
    except ImportError:
        raise ValueError("openvino is not installed here; pip install openvino") from None
    here = openvino.get_version().split("-")[0]
    if here != version:
        raise ValueError(f"here is OpenVINO {here}, and the engine was built by {version}")
    head, _, compiled = file.read_bytes().partition(b"\n")
    # As the engine was measured: onboard.py.
    settings = {
        "INFERENCE_PRECISION_HINT": json.loads(head)["precision"],
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }
    network = openvino.Core().import_model(compiled, "CPU", settings)
    output = network.output(0)
    request = network.create_infer_request()

    def run(inputs: np.ndarray) -> np.ndarray:
        outputs: np.ndarray = request.infer(inputs)[output]
        if len(outputs) < len(inputs):
            raise ValueError(f"the network gives {len(outputs)} outputs for {len(inputs)} inputs")
        return outputs

    return run
