"""The simulated board's Python module ``tensorrt``: the bindings that the product uses, in both generations.

Device memory is memory of this computer: a ``libcudart`` of a few lines allocates it.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sysconfig
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from simulator.engine import Engine, Refused
from simulator.jetson import Jetson, here

CUDART = """
#include <stdlib.h>
#include <string.h>
int cudaMalloc(void **pointer, size_t size) { return (*pointer = malloc(size)) ? 0 : 2; }
int cudaFree(void *pointer) { free(pointer); return 0; }
int cudaMemcpy(void *sink, const void *source, size_t size, int kind) { memcpy(sink, source, size); return 0; }
"""
float32 = "float32"


def install(board: Jetson) -> bool:
    """Install the bindings and CUDA on a board; False if there is no C compiler."""
    if not (compiler := shutil.which("cc")):
        return False
    folder = board.root / "usr/local/cuda-12.6/lib64"
    folder.mkdir(parents=True)
    (folder / "cudart.c").write_text(CUDART)
    command = [compiler, "-shared", "-fPIC", "-o", str(folder / "libcudart.so"), str(folder / "cudart.c")]
    subprocess.run(command, check=True)
    # The simulation needs ONNX Runtime in every environment that imports it.
    paths = [str(Path(__file__).parents[1]), sysconfig.get_path("purelib")]
    board.write(
        "usr/lib/python3/dist-packages/tensorrt/__init__.py",
        f"import sys\n\nsys.path += {paths!r}\nfrom simulator.bindings import *\n"
        f"from simulator.bindings import version\n\n__version__ = version()\n",
    )
    return True


def version() -> str:
    """The version of the board's TensorRT."""
    return ".".join(map(str, here().kind.tensorrt))


class TensorIOMode(Enum):
    INPUT = 1
    OUTPUT = 2


class Logger:
    ERROR = 1

    def __init__(self, level: int) -> None:
        self.level = level


class Runtime:
    def __init__(self, logger: Logger) -> None:
        here().called(["tensorrt.Runtime"])

    def deserialize_cuda_engine(self, content: bytes) -> Any:
        try:
            engine = Engine(here().kind, content)
        except Refused:
            return None
        return Named(engine) if here().kind.tensorrt >= (8, 5) else Numbered(engine)


class Context:
    """An execution context; tensors go by names."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._shapes: dict[str, list[int]] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        if not self._engine.fits(list(shape)):
            return False
        self._shapes[name] = list(shape)
        answer = self._engine.run(np.zeros(shape, np.float32))
        self._shapes[self._engine.output] = list(answer.shape)
        return True

    def get_tensor_shape(self, name: str) -> list[int]:
        return self._shapes.get(name, [-1])

    def execute_v2(self, pointers: list[int]) -> bool:
        source, sink = (
            np.ctypeslib.as_array((ctypes.c_float * int(np.prod(self._shapes[name]))).from_address(pointer))
            for name, pointer in zip((self._engine.input, self._engine.output), pointers, strict=True)
        )
        sink[:] = self._engine.run(source.reshape(self._shapes[self._engine.input])).ravel()
        return True


class Named:
    """An engine from 8.5 on: tensors go by names."""

    num_io_tensors = 2

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create_execution_context(self) -> Context:
        return Context(self._engine)

    def get_tensor_name(self, index: int) -> str:
        return (self._engine.input, self._engine.output)[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name == self._engine.input else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> str:
        return float32


class NumberedContext:
    """An execution context before 8.5."""

    def __init__(self, engine: Engine) -> None:
        self._names = engine.input, engine.output
        self._context = Context(engine)

    def set_binding_shape(self, index: int, shape: tuple[int, ...]) -> bool:
        return self._context.set_input_shape(self._names[index], shape)

    def get_binding_shape(self, index: int) -> list[int]:
        return self._context.get_tensor_shape(self._names[index])

    def execute_v2(self, pointers: list[int]) -> bool:
        return self._context.execute_v2(pointers)


class Numbered:
    """An engine before 8.5: tensors go by numbers."""

    num_bindings = 2

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def create_execution_context(self) -> NumberedContext:
        return NumberedContext(self._engine)

    def binding_is_input(self, index: int) -> bool:
        return index == 0

    def get_binding_dtype(self, index: int) -> str:
        return float32
