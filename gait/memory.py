"""Memory: how a process keeps it for the next iteration, and an error in plain words if there is too little."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gait.errors import DataError

# Options of glibc's mallopt, by malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = 2**31 - 1
# Words for a lack of memory of PyTorch, cuDNN and cuBLAS, and of processes that make batches with numpy.
_SHORT = re.compile(r"out of memory|can't allocate memory|ALLOC_FAILED|Caught MemoryError", re.IGNORECASE)


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees.

    glibc returns large blocks to the system at once, and takes new ones page by page; each page costs a fault and is filled
    with zeros. An iteration of GaitSet has millions of such faults, which take as long as the rest of it. This does nothing
    unless the system is Linux with glibc.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, NEVER)


@contextmanager
def name_shortage(device: torch.device, what: str, remedy: str) -> Iterator[None]:
    """Turn a lack of memory within this context into an error with a remedy.

    Args:
        device: the device that computes.
        what: the work that needs the memory, in words.
        remedy: the user's way out, in words.

    Raises:
        DataError: memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and not _SHORT.search(str(error)):
            raise
        where = "memory"
        if device.type == "cuda" and not isinstance(error, MemoryError):
            facts = torch.cuda.get_device_properties(device)
            where = f"GPU memory ({facts.name}, {facts.total_memory / 2**30:.1f} GiB)"
        (reason, *_) = str(error).strip().splitlines() or ["no further reason"]
        raise DataError(f"out of {where}: {what}; {remedy} ({reason})") from None
