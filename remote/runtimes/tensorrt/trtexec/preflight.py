"""Ask TensorRT's own parser on this computer, without a GPU: a network that it refuses need not go to a board.

It comes with the optional packages of `make tensorrt-check`. It is newer than the TensorRT of every JetPack: all versions
refuse what it refuses, but what it accepts may still fail on a board.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

PARSER = Path(__file__).with_name("parser.py")
LIBRARIES, BINDINGS = "onnxruntime_ep_nv_tensorrt_rtx", "tensorrt_rtx_bindings"
DISTRIBUTION = "tensorrt-rtx-cu12-bindings"
LONGEST_S = 120.0
REASON_LENGTH = 300
Ranges = Mapping[str, Sequence[Sequence[int]]]


class NoAnswer(RuntimeError):
    """The parser did not answer: it broke, or took too long. That says nothing about the network."""


def available() -> str | None:
    """The parser's version, or None if it is not installed."""
    if importlib.util.find_spec(LIBRARIES) is None or importlib.util.find_spec(BINDINGS) is None:
        return None
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return None


def ask(onnx: Path, compiled: bool = False, ranges: Ranges | None = None, longest_s: float = LONGEST_S) -> dict[str, Any]:
    """TensorRT's answer about a file.

    Args:
        onnx: the file.
        compiled: whether to compile it too, for a GPU of Orin's generation.
        ranges: the least, best and greatest shape of each input with free axes; needed to compile such a network.
        longest_s: how long the parser may take, in seconds.

    Returns:
        ``refusal``, TensorRT's words in one line, or None; then also the number of ``layers``, of layers that are no
        constants (``computing``) and, if it was compiled, the ``bytes`` of the engine.

    Raises:
        NoAnswer: the parser gave no answer.
    """
    spec = importlib.util.find_spec(LIBRARIES)
    if spec is None or spec.origin is None:
        raise NoAnswer("TensorRT's parser is not installed")
    command = [sys.executable, "-P", str(PARSER), str(onnx), "--libraries", str(Path(spec.origin).parent)]
    command += ["--ranges", json.dumps({name: list(map(list, shapes)) for name, shapes in (ranges or {}).items()})]
    command += ["--compile"] if compiled else []
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=longest_s, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"TensorRT's parser was ended after {longest_s:g} s") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise NoAnswer(f"TensorRT's parser broke: {last}")
    answer: dict[str, Any] = json.loads(done.stdout)
    if (refusal := answer["refusal"]) and len(refusal) > REASON_LENGTH:
        answer["refusal"] = f"{refusal[:REASON_LENGTH]} ..."
    return answer
