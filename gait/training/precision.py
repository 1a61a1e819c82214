"""What mixed precision means on this computer."""

from __future__ import annotations

import re
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# The names of the instructions on x86, in AMX, and on Arm.
_NATIVE = re.compile(r"^(?:flags|Features)\s*:.*\b(?:avx512_bf16|amx_bf16|bf16)\b", re.MULTILINE)


def bfloat16_is_native(cpuinfo: Path = CPUINFO) -> bool:
    """Whether the CPU itself multiplies in bfloat16; other CPUs emulate it, many times slower than float32.

    False where the system has no such file (Linux has).
    """
    return cpuinfo.is_file() and _NATIVE.search(cpuinfo.read_text(encoding="utf-8", errors="replace")) is not None
