"""What a bundle holds of TensorRT, which no package index has."""

from pathlib import Path

from remote.runtimes.room import Shipped

HERE = Path(__file__).parent
SHIPPED = Shipped(
    loader=HERE / "shipped.py",
    modules=(HERE / "onboard/bindings.py",),
    how="`--engine` runs the engine on {device}, as it was measured, in the Python bindings of TensorRT that JetPack "
    "brings for the system's own Python, 3.8 or newer. Without it, `model.onnx` runs on any processor: "
    "`pip install onnxruntime`.",
)
