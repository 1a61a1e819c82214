"""Memory that a training on the CPU needs again in every iteration."""

from __future__ import annotations

import ctypes
import sys

# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees.

    glibc gives large blocks back to the system at once and takes new ones page by page, each a page fault and filled with
    zeros: an iteration of GaitSet has millions of them, which take as long as the rest of it. Elsewhere than on
    Linux with glibc nothing changes.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, NEVER)
