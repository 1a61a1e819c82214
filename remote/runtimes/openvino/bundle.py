"""OpenVINO's part of a bundle."""

from pathlib import Path

from remote.runtimes.room import Shipped

SHIPPED = Shipped(
    loader=Path(__file__).with_name("shipped.py"),
    how="`--engine` runs the engine in OpenVINO, as it was measured on {device}. Without it `model.onnx` runs in ONNX "
    "Runtime, which `requirements.txt` does not list: `pip install onnxruntime`.",
    requirements=("openvino=={version}",),
)
