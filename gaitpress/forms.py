"""The files in which the stage quantize writes one network.

What processors and TensorRT want of a file differs: free or fixed axes, and in int8 the kind of quantisation. All are
written at once, so that a device that is added later runs its own branch of the DAG and nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gaitpress import outputs
from gaitpress.errors import StageError

CPU = "model.onnx"  # runs everywhere
CPU_8BIT = "model-8bit.onnx"  # int8 with 8 weight bits, for processors that add 8-bit products exactly
TENSORRT = "tensorrt.onnx"


def described(quantized: Path, file: str) -> dict[str, Any]:
    """What signature.json says of one of the files; ``file`` is its name, ``input`` its own input.

    Raises:
        StageError: it says nothing of that file.
    """
    signature = outputs.read_json(quantized / "signature.json")
    forms = signature.pop("forms", {})
    if file not in forms:
        raise StageError(f"{quantized}: there is no {file}; run `dvc repro` to make it")
    return {**signature, **forms[file], "file": file}
