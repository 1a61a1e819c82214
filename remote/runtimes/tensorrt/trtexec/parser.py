"""Ask TensorRT's own parser and its compiler about a network, for a GPU that need not be there; a process of its own.

TensorRT for RTX has TensorRT's ONNX parser and Python interface, and compiles ahead of time. The bindings take their
libraries from ONNX Runtime's plug-in, which brings them. The answer is JSON on standard output: ``refusal``, a text or null.
For an accepted network it also has the number of ``layers``, of layers that are no constants (``computing``), and ``bytes``.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
from pathlib import Path
from typing import Any

CAPABILITY = "SM86"  # Orin's generation


def load(libraries: Path) -> Any:
    """Load the bindings with their libraries."""
    for name in ("libtensorrt_rtx.so", "libtensorrt_onnxparser_rtx.so"):
        # The bindings ask for the soname; once a library is loaded, they get it whatever the name of its file.
        ctypes.CDLL(str(min(libraries.glob(f"{name}.*"))), mode=ctypes.RTLD_GLOBAL)
    import tensorrt_rtx_bindings

    return tensorrt_rtx_bindings


def ask(trt: Any, onnx: Path, compiled: bool, ranges: dict[str, list[list[int]]]) -> dict[str, Any]:
    """The answer about a file.

    Args:
        trt: the bindings.
        onnx: the file.
        compiled: whether to compile it as well.
        ranges: the least, best and greatest shape of each input with free axes.
    """

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors.append(message)

    log = Log()
    builder = trt.Builder(log)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(onnx)):
        errors = [str(parser.get_error(place)) for place in range(parser.num_errors)] or log.errors
        return {"refusal": _line(errors) or "it does not say why"}
    kinds = [network.get_layer(place).type for place in range(network.num_layers)]
    computing = sum(kind != trt.LayerType.CONSTANT for kind in kinds)
    answer = {"refusal": None, "layers": len(kinds), "computing": computing, "bytes": None}
    if compiled:
        config = builder.create_builder_config()
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, CAPABILITY), 0)
        if ranges:
            profile = builder.create_optimization_profile()
            for name, shapes in ranges.items():
                profile.set_shape(name, *map(tuple, shapes))
            config.add_optimization_profile(profile)
        engine = builder.build_serialized_network(network, config)
        if engine is None:
            return {"refusal": _line(log.errors[-3:]) or "the compiler does not say why"}
        answer["bytes"] = len(bytes(engine))
    return answer


def _line(messages: list[str]) -> str:
    return " ".join("; ".join(messages).split())


def main() -> None:
    # Libraries may print: only the answer goes to the real standard output.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("onnx", type=Path)
    parser.add_argument("--libraries", type=Path, required=True, help="the folder of ONNX Runtime's plug-in")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--ranges", type=json.loads, default={}, help="JSON: of each input, least, best and greatest shape")
    options = parser.parse_args()
    answers.write(json.dumps(ask(load(options.libraries), options.onnx, options.compile, options.ranges)))
    answers.flush()


if __name__ == "__main__":
    main()
