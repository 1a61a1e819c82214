"""ONNX Runtime on a processor; an engine is the network with its graph optimised for this one machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remote import python
from remote.runtimes.room import Reads, Room

# Instructions that multiply 8-bit values and add four products in 32 bits.
DOT_PRODUCTS = {"avx512_vnni", "avx_vnni", "amx_int8"}


def exact_products(facts: Mapping[str, Any]) -> bool:
    """Whether ONNX Runtime's integer kernels on a processor are exact with weights of 8 bits.

    Those on ARM are. On x86 without dot products, kernels add two products in 16 bits, which overflow unless weights have 7
    bits: "Data type selection" in https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html

    Args:
        facts: the device's facts, of which it reads ``arch`` and ``isa``.
    """
    return str(facts.get("arch")) in ("aarch64", "arm64") or bool(DOT_PRODUCTS & {*facts.get("isa", ())})


ROOM = Room(
    title="ONNX Runtime",
    files=lambda facts: ("model-8bit.onnx", "model.onnx") if exact_products(facts) else ("model.onnx",),
    options={"python": str},
    counts_energy=True,
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
