"""PyTorch checkpoints, read without running anything that is in them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gait.errors import DataError

# Where training scripts put the network's state, beside that of the optimizer and the like.
WRAPPERS = ("model", "state_dict")
PARALLEL = "module."  # what DataParallel puts before each name
# What a number of numpy is made with: its type, and the maker of numpy 1 or 2.
NUMPY = ("numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
FORBIDDEN = re.compile(r"GLOBAL (\S+)")


class NumpyNumber:
    """Stands for a number of numpy, or for its type, that a file holds beside the weights: nobody asks for its value.

    So nothing of numpy is run, which may take the bytes of a number for an address in memory if a file says so.
    """

    def __init__(self, *described: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of the network in a checkpoint, in the present or the older format of PyTorch.

    Args:
        path: of the file: a dictionary with the state under "model" or "state_dict", or the state alone. Numbers of numpy
            may stand beside it.

    Returns:
        Tensors in the CPU's memory, by the names in the file, without DataParallel's prefix.

    Raises:
        DataError: the file is damaged, holds no state of a network, or could only be read by running code in it.
    """
    try:
        allowed = torch.serialization.safe_globals([(NumpyNumber, name) for name in NUMPY])
        with allowed, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on files that are then refused
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on foreign bytes the reader raises nearly anything
        wanted = FORBIDDEN.search(str(error))
        if wanted:
            raise DataError(f"{path} wants to run {wanted[1]}, which weights never need: not read") from None
        raise DataError(f"{path} is damaged or no PyTorch checkpoint") from None
    tensors = _state(loaded)
    if not tensors:
        raise DataError(f"{path} holds no state of a network{_instead(loaded)}")
    if not all(map(_is_plain, tensors.values())):
        raise DataError(f"{path} holds sparse, quantised or nested tensors")
    while all(name.startswith(PARALLEL) for name in tensors):
        tensors = {name.removeprefix(PARALLEL): tensor for name, tensor in tensors.items()}
    return tensors


def _state(loaded: Any) -> dict[str, Tensor]:
    if not isinstance(loaded, Mapping):
        return {}
    state = next((loaded[key] for key in WRAPPERS if isinstance(loaded.get(key), Mapping)), loaded)
    return {name: value for name, value in state.items() if isinstance(name, str) and isinstance(value, Tensor)}


def _instead(loaded: Any) -> str:
    if isinstance(loaded, Mapping) and "param_groups" in loaded:
        return ", but an optimizer's"
    return f", but {', '.join(map(str, list(loaded)[:5]))}" if isinstance(loaded, Mapping) and loaded else ""


def _is_plain(tensor: Tensor) -> bool:
    return tensor.layout is torch.strided and tensor.device.type == "cpu" and not (tensor.is_quantized or tensor.is_nested)
