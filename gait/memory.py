"""Memory: kept for the next iteration, and what to do where there is too little."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gait.errors import DataError

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = 2**31 - 1
# As PyTorch, cuDNN and cuBLAS tell that there is no room, on a GPU or on the CPU; a process that makes batches, of numpy's.
_SHORT = re.compile(r"out of memory|can't allocate memory|ALLOC_FAILED|Caught MemoryError", re.IGNORECASE)


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees.

    glibc gives large blocks back to the system at once and takes new ones page by page, each a page fault and filled with
    zeros: an iteration of GaitSet has millions of them, which take as long as the rest of it. Elsewhere than on
    Linux with glibc nothing changes.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, NEVER)


@contextmanager
def told_if_short(device: torch.device, what: str, remedy: str) -> Iterator[None]:
    """Tell that memory ran out, and what to lower, instead of a traceback.

    Args:
        device: that computes.
        what: needs the memory.
        remedy: what to do about it.

    Raises:
        DataError: within, there was no room.
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
        (reason, *_) = str(error).strip().splitlines() or ["nothing more is known"]
        raise DataError(f"out of {where}: {what}; {remedy} ({reason})") from None
