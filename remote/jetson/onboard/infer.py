"""An engine's outputs for inputs that come one by one: by TensorRT's Python bindings where they are, else by trtexec."""

import array
import ctypes
import glob
import io
import json
import os
import re
import subprocess
import sys
import zlib

from remote.jetson.onboard.tools import at

TO_DEVICE, TO_HOST = 1, 2  # cudaMemcpyKind


def infer(request, source, sink):
    """Answer inputs until there are no more.

    The request: ``engine``, ``version`` (TensorRT's, as the engine needs it), ``trtexec`` (a command line in which {input},
    {output} and {shape} are filled in), ``scratch`` and ``timeout_s``. How inputs come, remote/inputs.py says.
    """
    try:
        engine = _bindings(request) or Trtexec(request)
        for given, content in _inputs(source):
            shape, values = engine(given, content)
            _line(sink, {"shape": shape})
            sink.write(values)
            sink.flush()
    except Exception as error:  # Whatever the bindings throw is a result.
        _line(sink, {"error": str(error) or type(error).__name__})
        sys.exit(1)


def _inputs(source):
    """Shapes and float32 bytes."""
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
    for name in ("python3", f"python{sys.version_info[0]}.{sys.version_info[1]}"):
        sys.path.append(at("usr/lib", name, "dist-packages"))
    cudart = sorted(glob.glob(at("usr/local/cuda*/lib64/libcudart.so*")))
    try:
        import tensorrt
    except ImportError:
        return None
    if not cudart or not tensorrt.__version__.startswith(request["version"]):
        return None
    return Bindings(request["engine"], tensorrt, ctypes.CDLL(cudart[0]))


class Bindings:
    """One process, one engine: loaded once. Inputs and outputs are float32."""

    def __init__(self, path, tensorrt, cudart):
        self.cudart, self.room = cudart, {}
        logger = tensorrt.Logger(tensorrt.Logger.ERROR)
        with open(path, "rb") as file:
            self.engine = tensorrt.Runtime(logger).deserialize_cuda_engine(file.read())
        if self.engine is None:
            raise RuntimeError("TensorRT refuses to load the engine")
        self.context = self.engine.create_execution_context()
        self.named = hasattr(self.engine, "num_io_tensors")  # from 8.5; tensors go by number before
        if self.named:
            self.tensors = [self.engine.get_tensor_name(i) for i in range(self.engine.num_io_tensors)]
            inputs = [name for name in self.tensors if self.engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT]
            kinds = [self.engine.get_tensor_dtype(name) for name in self.tensors]
        else:
            self.tensors = list(range(self.engine.num_bindings))
            inputs = [i for i in self.tensors if self.engine.binding_is_input(i)]
            kinds = [self.engine.get_binding_dtype(i) for i in self.tensors]
        if len(inputs) != 1 or any(kind != tensorrt.float32 for kind in kinds):
            raise RuntimeError("the engine has not one input, or values other than float32")
        self.input = inputs[0]
        self.output = next(tensor for tensor in self.tensors if tensor != self.input)

    def __call__(self, shape, values):
        set_shape = self.context.set_input_shape if self.named else self.context.set_binding_shape
        if set_shape(self.input, tuple(shape)) is False:
            raise RuntimeError(f"the engine takes no input of the shape {shape}")
        get_shape = self.context.get_tensor_shape if self.named else self.context.get_binding_shape
        shapes = {tensor: [int(axis) for axis in get_shape(tensor)] for tensor in self.tensors}
        if shapes[self.input] != list(shape) or any(axis < 0 for axis in shapes[self.output]):
            raise RuntimeError(f"the engine takes no input of the shape {shape}")
        pointers = [self._room(tensor, shapes[tensor]) for tensor in self.tensors]
        self._cuda("cudaMemcpy", self.room[self.input][0], values, ctypes.c_size_t(len(values)), TO_DEVICE)
        if not self.context.execute_v2(pointers):
            raise RuntimeError("TensorRT could not run the engine")
        count = 4
        for axis in shapes[self.output]:
            count *= axis
        answer = ctypes.create_string_buffer(count)
        self._cuda("cudaMemcpy", answer, self.room[self.output][0], ctypes.c_size_t(count), TO_HOST)
        return shapes[self.output], answer.raw

    def _room(self, tensor, shape):
        """Device memory for a tensor, kept from input to input and made anew when a larger one comes."""
        size = 4
        for axis in shape:
            size *= axis
        pointer, there = self.room.get(tensor, (None, -1))
        if size > there:
            if pointer is not None:
                self._cuda("cudaFree", pointer)
            pointer = ctypes.c_void_p()
            self._cuda("cudaMalloc", ctypes.byref(pointer), ctypes.c_size_t(size))
            self.room[tensor] = pointer, size
        return pointer.value

    def _cuda(self, name, *arguments):
        code = getattr(self.cudart, name)(*arguments)
        if code:
            raise RuntimeError("out of memory" if code == 2 else f"{name} ended with CUDA error {code}")


class Trtexec:
    """A process of trtexec for every input."""

    def __init__(self, request):
        self.command, self.timeout_s = request["trtexec"], request["timeout_s"]
        self.files = {name: os.path.join(request["scratch"], f"infer-{os.getpid()}.{name}") for name in ("input", "output")}

    def __call__(self, shape, values):
        with open(self.files["input"], "wb") as file:
            file.write(values)
        words = dict(self.files, shape="x".join(map(str, shape)))
        try:
            done = subprocess.run(
                [re.sub(r"\{(input|output|shape)\}", lambda found: words[found.group(1)], word) for word in self.command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=self.timeout_s,
                check=False,
            )
            if done.returncode:
                # The whole log: what it means is told by the computer that asked.
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
    """Shape and float32 bytes of the first output of ``--exportOutput``, which has six significant digits.

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
