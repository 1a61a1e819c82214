"""bfloat16 is used only if the CPU multiplies in it: emulated, it is a hundred times slower."""

from pathlib import Path

import pytest

from gait.training.precision import bfloat16_is_native


@pytest.mark.parametrize(
    ("line", "native"),
    [
        ("flags\t\t: fpu sse2 avx2 avx512f avx512_bf16 avx512_vnni", True),
        ("flags\t\t: fpu amx_bf16 amx_tile", True),
        ("Features\t: fp asimd bf16 i8mm", True),
        ("flags\t\t: fpu sse2 avx2 avx512f avx512bw avx512_vnni", False),
        ("Features\t: fp asimd", False),
        ("model name\t: bf16", False),
    ],
)
def test_the_flags_of_the_cpu_decide_about_bfloat16(tmp_path: Path, line: str, native: bool) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\n{line}\nbugs\t\t: none\n")
    assert bfloat16_is_native(cpuinfo) is native


def test_a_system_without_flags_has_no_bfloat16(tmp_path: Path) -> None:
    assert not bfloat16_is_native(tmp_path / "nowhere")
