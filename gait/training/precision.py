"""What mixed precision means on this computer."""

from __future__ import annotations

import re
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
# x86's name for the instructions, AMX's, and Arm's.
_NATIVE = re.compile(r"^(?:flags|Features)\s*:.*\b(?:avx512_bf16|amx_bf16|bf16)\b", re.MULTILINE)


def bfloat16_is_native(cpuinfo: Path = CPUINFO) -> bool:
    """Whether the CPU multiplies in bfloat16 itself; one that does not emulates it, many times slower than float32.

    False where the system does not tell (Linux does).
    """
    return cpuinfo.is_file() and _NATIVE.search(cpuinfo.read_text(encoding="utf-8", errors="replace")) is not None
