"""ONNX Runtime's part of a bundle."""

from pathlib import Path

from remote.runtimes.room import Shipped

SHIPPED = Shipped(
    loader=Path(__file__).with_name("shipped.py"),
    how="With `--engine` it runs, on {device}, the engine in place of `model.onnx`, as it was measured.",
    requirements=("onnxruntime=={version}",),
    engine_first=False,
)
