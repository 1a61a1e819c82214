"""An engine's outputs for inputs that come one by one: by TensorRT's Python bindings where they are, else by trtexec."""

import array
import io
import json
import os
import re
import subprocess
import sys
import zlib

from remote.jetson.onboard.tools import ROOT
from remote.runtimes.tensorrt.onboard import bindings


def infer(request, source, sink):
    """Answer inputs until there are no more.

    The request has ``engine``, ``version`` (of TensorRT, as the engine needs it), ``trtexec`` (a command line with the
    fields {input}, {output} and {shape}), ``scratch`` and ``timeout_s``. remote/inputs.py says how inputs come.
    """
    try:
        engine = _bindings(request) or Trtexec(request)
        for input_shape, content in _inputs(source):
            shape, values = engine(input_shape, content)
            _line(sink, {"shape": shape})
            sink.write(values)
            sink.flush()
    except Exception as error:  # Whatever error the bindings raise is a result.
        _line(sink, {"error": str(error) or type(error).__name__})
        sys.exit(1)


def _inputs(source):
    """Yield the shape and the float32 bytes of each input."""
    for line in iter(source.readline, b""):
        head = json.loads(line.decode())
        if "shape" in head:
            size = 4
            for axis in head["shape"]:
                size *= axis
            yield head["shape"], source.read(size)
            continue
        if "file" in head:
            with open(head["file"], "rb") as file:
                packed = file.read()
        else:
            packed = source.read(head["packed"])
        yield from _inputs(io.BytesIO(zlib.decompress(packed)))


def _line(sink, answer):
    sink.write(json.dumps(answer).encode() + b"\n")
    sink.flush()


def _bindings(request):
    """The engine in TensorRT's Python bindings, or None where they, or CUDA, are absent or of another version."""
    try:
        return bindings.opened(request["engine"], request["version"], ROOT)
    except bindings.Absent:
        return None


class Trtexec:
    """A process of trtexec for every input."""

    def __init__(self, request):
        self.command, self.timeout_s = request["trtexec"], request["timeout_s"]
        self.files = {name: os.path.join(request["scratch"], f"infer-{os.getpid()}.{name}") for name in ("input", "output")}

    def __call__(self, shape, values):
        with open(self.files["input"], "wb") as file:
            file.write(values)
        fields = dict(self.files, shape="x".join(map(str, shape)))
        try:
            done = subprocess.run(
                [re.sub(r"\{(input|output|shape)\}", lambda match: fields[match.group(1)], word) for word in self.command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=self.timeout_s,
                check=False,
            )
            if done.returncode:
                # Send the whole log: the computer that asked interprets it.
                log = done.stdout.decode("utf-8", "replace")
                raise RuntimeError(f"{log}\ntrtexec ended with status {done.returncode}")
            with open(self.files["output"]) as file:
                return first_output(file.read())
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"trtexec did not end within {self.timeout_s:g} s") from None
        finally:
            for path in self.files.values():
                if os.path.exists(path):
                    os.remove(path)


def first_output(exported):
    """The shape and float32 bytes of the first output of ``--exportOutput``, which has six significant digits.

    C++ writes nan and inf in its own way.
    """
    exported = re.sub(r"(?<=[\s,\[])-?nan(?:\([^)]*\))?(?=[\s,\]])", "NaN", exported)
    exported = re.sub(r"(?<=[\s,\[])(-?)inf(?=[\s,\]])", r"\1Infinity", exported)
    output = json.loads(exported)[0]
    shape = [int(axis) for axis in output["dimensions"].split("x")]
    values = array.array("f", output["values"])
    count = 1
    for axis in shape:
        count *= axis
    if count != len(values):
        raise ValueError(f"trtexec wrote {len(values)} values for an output of the shape {shape}")
    return shape, values.tobytes()
