"""OpenVINO on a processor; an engine is the network as its compiler made it for this one machine and precision."""

from __future__ import annotations

from remote import python
from remote.python.instructions import exact_products
from remote.runtimes.room import Room

ROOM = Room(
    title="OpenVINO",
    files=lambda facts: ("openvino.onnx", "model.onnx") if exact_products(facts) else ("model.onnx",),
    options={"python": str},
    on_processor=True,
    uses=python.CODE,
)
