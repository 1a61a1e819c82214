"""Run a TensorRT engine with the Python bindings of JetPack and CUDA's own library; no other package."""

import ctypes
import glob
import os
import sys

TO_DEVICE, TO_HOST = 1, 2  # cudaMemcpyKind


class Absent(Exception):
    """This board has no TensorRT of the engine's version, or no CUDA."""


def opened(path, version, root=os.sep):
    """The engine in the file ``path``, built by TensorRT ``version``, such as "10.3.0"; ``root`` is where /usr is.

    Raises:
        Absent: the bindings, or CUDA, are not here or of another version.
        RuntimeError: TensorRT refuses to load the engine.
    """
    # The system's packages must be visible in an isolated environment too.
    for name in ("python3", f"python{sys.version_info[0]}.{sys.version_info[1]}"):
        sys.path.append(os.path.join(root, "usr/lib", name, "dist-packages"))
    try:
        import tensorrt
    except ImportError:
        raise Absent("there are no Python bindings of TensorRT for this Python") from None
    if not tensorrt.__version__.startswith(version):
        raise Absent(f"here is TensorRT {tensorrt.__version__}, and the engine was built by {version}")
    folders = [
        *filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)),
        os.path.join(root, "usr/local/cuda*/lib64"),
    ]
    cudart = [file for folder in folders for file in sorted(glob.glob(os.path.join(folder, "libcudart.so*")))]
    if not cudart:
        raise Absent("there is no libcudart.so of CUDA under /usr/local/cuda")
    return Bindings(path, tensorrt, ctypes.CDLL(cudart[0]))


class Bindings:
    """An engine, loaded once a process. Inputs and outputs are float32."""

    def __init__(self, path, tensorrt, cudart):
        self.cudart, self.room = cudart, {}
        logger = tensorrt.Logger(tensorrt.Logger.ERROR)
        with open(path, "rb") as file:
            self.engine = tensorrt.Runtime(logger).deserialize_cuda_engine(file.read())
        if self.engine is None:
            raise RuntimeError("TensorRT refuses to load the engine")
        self.context = self.engine.create_execution_context()
        self.named = hasattr(self.engine, "num_io_tensors")  # from 8.5; before, tensors have numbers
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
        """Device memory for a tensor, kept from input to input and allocated anew for a larger one."""
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
