"""The files in which the stage quantize writes one network.

What runtimes want of a file differs: free or fixed axes, and in int8 the kind of quantisation. All are written at once, so
that a device that is added later runs its own branch of the DAG and nothing else; which it takes, its runtime says by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaitpress import outputs
from gaitpress.errors import StageError

CPU = "model.onnx"  # runs everywhere
CPU_8BIT = "model-8bit.onnx"  # int8 with 8 weight bits, for processors that add 8-bit products exactly
OPENVINO = "openvino.onnx"  # int8 with pairs at weights alone, which OpenVINO computes faster, and more exactly
TENSORRT = "tensorrt.onnx"


@dataclass(frozen=True)
class Form:
    """How a file is written.

    Attributes:
        fixed_axes: the number of frames is fixed, unless params.yaml says otherwise.
        activations, weight_bits, pairs_at: in int8; see compress/precision/quantization.py.
        int8_only: it differs from the first one in int8 alone, so there is none in other precisions, nor where params.yaml
            says what would make the two equal.
    """

    fixed_axes: bool
    activations: str
    weight_bits: int
    pairs_at: str
    int8_only: bool = False


FORMS = {
    CPU: Form(False, "uint8", 7, "kernels"),
    TENSORRT: Form(True, "int8", 8, "weights"),
    CPU_8BIT: Form(False, "uint8", 8, "kernels", int8_only=True),
    OPENVINO: Form(False, "uint8", 8, "weights", int8_only=True),
}


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
