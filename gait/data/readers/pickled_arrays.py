"""The silhouettes in a pickle that numpy wrote, without running the pickle.

A pickle is a program for a small machine, which can call anything by its name. Here the operations are only listed, by
:mod:`pickletools`, and the few that numpy (1 and 2, protocols 2 to 5) writes for arrays are followed: nothing is imported or
called, names stand for themselves, and no array is made before its shape and its bytes fit.
"""

from __future__ import annotations

import math
import pickletools
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

MOST_OPERATIONS = 2**20  # numpy needs up to 40 for an array
MOST_FRAMES = 2**16
LONGEST_SIDE = MOST_FRAMES
PLAIN = {
    *("BININT", "BININT1", "BININT2", "LONG1", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINSTRING", "BINSTRING", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
CODES = (
    "u1",
    "b1",
    "i1",
    "u2",
    "i2",
    "u4",
    "i4",
    "u8",
    "i8",
    "f2",
    "f4",
    "f8",
)  # numpy's, of what silhouettes are written as
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


class Name(Enum):
    """What a pickle may name; each stands for itself."""

    RECONSTRUCT, ARRAY, TYPE, FROM_BUFFER, ENCODE = range(5)


NAMES = {
    ("numpy.core.multiarray", "_reconstruct"): Name.RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): Name.RECONSTRUCT,
    ("numpy", "ndarray"): Name.ARRAY,
    ("numpy", "dtype"): Name.TYPE,
    ("numpy.core.numeric", "_frombuffer"): Name.FROM_BUFFER,
    ("numpy._core.numeric", "_frombuffer"): Name.FROM_BUFFER,
    ("_codecs", "encode"): Name.ENCODE,
}


class Refused(ValueError):
    """A pickle holds something else than aligned silhouettes."""


@dataclass
class _Type:
    """A type of array, from its code such as "u1", and its order of bytes, such as "<"."""

    code: str
    order: str = "|"


@dataclass
class _Array:
    """What a pickle says of an array; nothing of it is checked yet."""

    type: _Type | None = None
    shape: Any = None
    order: Any = None
    axes: Any = None
    data: Any = None


def read(content: bytes) -> list[np.ndarray]:
    """The frames that a pickle holds, uint8 [height, width], all of one shape.

    Where its numbers are 0 to 1 (fractions, truth values, or 0 and 1 alone), 1 becomes 255.

    Raises:
        Refused: it is damaged or holds anything else.
    """
    try:
        result = _follow(content)
    except Refused:
        raise
    except (ValueError, LookupError, TypeError, OverflowError) as error:
        raise Refused(f"damaged: {ascii(str(error))[:200]}") from None
    arrays = result if isinstance(result, list | tuple) else [result]
    if len(arrays) > MOST_FRAMES:
        raise Refused(f"more than {MOST_FRAMES} frames")
    frames: list[np.ndarray] = []
    taken = 0
    for array in arrays:
        if not isinstance(array, _Array):
            raise Refused("it holds something else than arrays")
        code = array.type.code if array.type else ""
        if code not in CODES:
            raise Refused(f"an array of type {ascii(code)[:20]}; silhouettes are whole numbers, fractions or truth values")
        if not isinstance(array.data, bytes | bytearray | str):
            raise Refused("an array without bytes")
        taken += len(array.data)  # many arrays may have the same bytes
        if taken > len(content):
            raise Refused("its frames would be larger than the file")
        frames += _frames(_decoded(array), 2 if arrays is result else 3)
        if frames[-1].shape != frames[0].shape:
            raise Refused("its frames differ in shape")
    if not frames:
        raise Refused("it holds no frame")
    return frames if all(frame.dtype == np.uint8 for frame in frames) else _as_bytes(frames)


def _as_bytes(frames: list[np.ndarray]) -> list[np.ndarray]:
    """Frames of other numbers as uint8, 0 to 255."""
    lowest, highest = min(float(frame.min()) for frame in frames), max(float(frame.max()) for frame in frames)
    if not (lowest >= 0 and highest <= 255):  # not a number is neither
        raise Refused(f"values from {lowest:g} to {highest:g}; silhouettes have 0 to 255, or 0 to 1")
    scale = 255 if highest <= 1 else 1
    return [np.rint(frame.astype(np.float32) * scale).astype(np.uint8) for frame in frames]


def _frames(array: np.ndarray, dimensions: int) -> list[np.ndarray]:
    if array.ndim != dimensions:
        raise Refused(f"an array of {array.ndim} dimensions where {dimensions} are expected")
    return [array] if dimensions == 2 else list(array)


def _decoded(array: _Array) -> np.ndarray:
    assert array.type is not None
    data = array.data.encode("latin1") if isinstance(array.data, str) else array.data  # Python 2 had no other bytes
    shape = _whole_numbers(array.shape)
    kind = np.dtype((array.type.order if array.type.order in "<>" else "") + array.type.code)
    if min(shape, default=0) < 1 or math.prod(shape) * kind.itemsize != len(data):
        raise Refused("an array whose shape and bytes do not fit")
    flat = np.frombuffer(data, np.uint8).astype(np.bool_) if kind == np.bool_ else np.frombuffer(data, kind)
    if array.order == "K":
        axes = _whole_numbers(array.axes)
        if sorted(axes) != list(range(len(shape))):
            raise Refused("an array whose axes do not fit")
        return flat.reshape(shape).transpose(axes)
    return flat.reshape(shape, order="F" if array.order == "F" else "C")


def _whole_numbers(values: Any) -> tuple[int, ...]:
    """A shape or an order of axes, of up to three dimensions."""
    if (
        not isinstance(values, tuple)
        or len(values) > 3
        or not all(type(n) is int and 0 <= n <= LONGEST_SIDE for n in values)
    ):
        raise Refused("an array of a shape that no silhouettes have")
    return values


def _follow(content: bytes) -> Any:
    """What is left at a pickle's end: plain values, lists, tuples, names and arrays as they are described."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    encoded = 0

    def above_mark() -> list[Any]:
        at = marks.pop()
        items = stack[at:]
        del stack[at:]
        return items

    def pop() -> Any:
        if marks and marks[-1] == len(stack):
            raise Refused("damaged: a mark amid a value")
        return stack.pop()

    argument: Any
    for count, (operation, argument, _) in enumerate(pickletools.genops(content)):
        if count >= MOST_OPERATIONS:
            raise Refused(f"more than {MOST_OPERATIONS} operations")
        match operation.name:
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                result = pop()
                if stack:
                    raise Refused("damaged: more than one value")
                return result
            case "MARK":
                marks.append(len(stack))
            case constant if constant in CONSTANTS:
                stack.append(CONSTANTS[constant])
            case plain if plain in PLAIN:
                stack.append(argument)
            case "EMPTY_LIST":
                stack.append([])
            case "APPEND" | "APPENDS":
                items = above_mark() if operation.name == "APPENDS" else [pop()]
                if type(stack[-1]) is not list:
                    raise Refused("damaged: appends to no list")
                stack[-1].extend(items)
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE":
                stack.append(tuple(above_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(reversed([pop() for _ in range(int(operation.name[-1]))])))
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "GLOBAL":
                stack.append(_name(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                name, module = pop(), pop()
                stack.append(_name(module, name))
            case "REDUCE":
                arguments, name = pop(), pop()
                made = _called(name, arguments)
                encoded += len(made) if isinstance(made, bytes) else 0
                if encoded > len(content):
                    raise Refused("its bytes would be larger than the file")
                stack.append(made)
            case "BUILD":
                state = pop()
                _build(stack[-1], state)
            case other:
                raise Refused(f"the operation {other}, which no array needs")
    raise Refused("damaged: no end")


def _name(module: Any, name: Any) -> Name:
    if not isinstance(module, str) or not isinstance(name, str):
        raise Refused("damaged: a name that is no text")
    if (module, name) not in NAMES:
        raise Refused(f"it names {ascii(f'{module}.{name}')[:80]}, which no array needs")
    return NAMES[module, name]


def _called(name: Any, arguments: Any) -> Any:
    """What comes of the few calls that numpy's pickles make."""
    match name, arguments:
        case Name.RECONSTRUCT, (Name.ARRAY, (0,), b"b" | "b"):
            return _Array()
        case Name.TYPE, (str(code), *_):
            return _Type(code)
        case Name.FROM_BUFFER, (data, _Type() as kind, shape, "C" | "F" | "K" as order, *axes):
            return _Array(kind, shape, order, axes[0] if axes else None, data)
        case Name.ENCODE, (str(text), "latin1"):
            return text.encode("latin1")
    raise Refused("a call that no array needs")


def _build(built: Any, state: Any) -> None:
    match built, state:
        case _Array(), (_, shape, _Type() as kind, bool(by_columns), data):
            built.type, built.shape, built.order, built.data = kind, shape, "F" if by_columns else "C", data
        case _Type(), (_, "<" | ">" | "|" | "=" as order, None, None, None, *_):
            built.order = order
        case _:
            raise Refused("a state that no array of numbers has")
