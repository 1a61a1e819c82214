"""What a processor's instructions mean for the runtimes that run on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Instructions that multiply 8-bit values and add four products in 32 bits.
DOT_PRODUCTS = {"avx512_vnni", "avx_vnni", "amx_int8"}


def exact_products(facts: Mapping[str, Any]) -> bool:
    """Whether integer kernels on a processor are exact with weights of 8 bits.

    Those on ARM are. On x86 without dot products, kernels add two products in 16 bits, which overflow unless weights have 7
    bits: "Data type selection" in https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html, and
    https://docs.openvino.ai/latest/pot_saturation_issue.html

    Args:
        facts: the device's facts, of which it reads ``arch`` and ``isa``.
    """
    return str(facts.get("arch")) in ("aarch64", "arm64") or bool(DOT_PRODUCTS & {*facts.get("isa", ())})
