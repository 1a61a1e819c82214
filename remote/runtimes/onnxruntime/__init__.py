"""ONNX Runtime on a processor; an engine is the network with its graph optimised for this one machine."""

from __future__ import annotations

from remote import python
from remote.python.instructions import exact_products
from remote.runtimes.room import Reads, Room

ROOM = Room(
    title="ONNX Runtime",
    files=lambda facts: ("model-8bit.onnx", "model.onnx") if exact_products(facts) else ("model.onnx",),
    options={"python": str},
    on_processor=True,
    # The newest operator set and IR version of each version:
    # https://onnxruntime.ai/docs/reference/compatibility.html
    reads=Reads(
        (
            ((1, 0), 11, 6),
            ((1, 3), 12, 7),
            ((1, 6), 13, 7),
            ((1, 8), 14, 7),
            ((1, 9), 15, 8),
            ((1, 11), 16, 8),
            ((1, 12), 17, 8),
            ((1, 14), 18, 8),
            ((1, 15), 19, 9),
            ((1, 17), 20, 9),
            ((1, 18), 21, 10),
            ((1, 21), 22, 10),
        ),
        unknown=(1, 22),
    ),
    uses=python.CODE,
)
