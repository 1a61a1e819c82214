"""What was made of something that was edited meanwhile is not recorded; it is kept for when the edit is taken back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def of_dvc(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a stage as DVC does, with inputs, a module and parameters; its main does what it is told."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    declared = {"cmd": "-", "deps": ["data", "code.py"], "params": ["export"], "outs": ["out"]}
    (tmp_path / "dvc.yaml").write_text(json.dumps({"stages": {"made": declared}}))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/large").write_bytes(bytes(2 << 20))
    (tmp_path / "code.py").write_text("")

    def run(work: str, **variables: str) -> subprocess.CompletedProcess[str]:
        program = f"""
import os, re, sys
from pathlib import Path
import stages
from gaitpress import command_line, outputs
def edit(name, pattern, text):
    Path(name).write_text(re.sub(pattern, text, Path(name).read_text(), count=1))
def write(text):
    with outputs.new_directory(Path("out")) as out:
        (out / "file").write_text(text)
def main():
    command_line.parse(command_line.parser("A stage."))
{textwrap.indent(work, "    ")}
command_line.run(main)
"""
        env = {**os.environ, "PYTHONPATH": str(ROOT), "DVC_STAGE": "made", **variables}
        return subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True)

    return run


OPSET = 'edit("params.yaml", r"opset: \\d+", "opset: 16")'


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(f"write('x'); {OPSET}", id="once in place", marks=pytest.mark.slow),
        pytest.param(f"{OPSET}; write('x')", id="before"),
    ],
)
def test_what_was_finished_before_an_edit_is_taken_up_when_the_edit_is_taken_back(
    of_dvc: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, work: str
) -> None:
    before = (tmp_path / "params.yaml").read_text()
    done = of_dvc(work)
    assert done.returncode == 1
    assert done.stderr.startswith("error: params.yaml: export.opset (13 at its start, 16 now): edited while made ran")
    assert not (tmp_path / "out").exists()
    done = of_dvc("write('y')")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/file").read_text() == "y"
    (tmp_path / "params.yaml").write_text(before)
    done = of_dvc("raise AssertionError('made anew')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "out: taken up as it was finished before\n", "")
    assert (tmp_path / "out/file").read_text() == "x"
    assert not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize(
    ("work", "message"),
    [
        ("Path('code.py').write_text('1')", "code.py: edited while"),
        ("Path('data/more').write_text('1')", "data/more (added): edited while"),
        pytest.param("Path('data/large').unlink()", "data/large (removed): edited while", marks=pytest.mark.slow),
        pytest.param("os.utime('data/large', (1, 1))", "data/large: edited while", marks=pytest.mark.slow),
        ("Path('params.yaml').write_text('{')", "params.yaml"),
    ],
)
def test_any_edit_of_what_dvc_hashes_is_reported(
    of_dvc: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, work: str, message: str
) -> None:
    done = of_dvc(f"{work}\nwrite('x')")
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {message}")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_what_a_stage_does_not_read_or_is_the_same_may_be_written(
    of_dvc: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    work = "edit('params.yaml', 'seed: 1', 'seed: 2'); Path('code.py').write_text(''); Path('other.py').write_text('1')"
    assert of_dvc(f"{work}; write('x')").returncode == 0
    assert (tmp_path / "out/file").read_text() == "x"


def test_a_stage_that_began_with_something_else_than_dvc_saw_ends_at_once(
    of_dvc: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = of_dvc("raise AssertionError('went on')", GAITPRESS_STARTED_FROM="something else")
    assert done.returncode == 1
    assert "edited as made began; nothing was made yet. Run the same again" in done.stderr
    assert "Traceback" not in done.stderr
