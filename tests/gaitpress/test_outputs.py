"""Outputs that appear whole or not at all, and JSON files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from gaitpress import outputs
from gaitpress.errors import StageError

ROOT = Path(__file__).parents[2]


def listing(directory: Path) -> dict[str, str | None]:
    """All that is in a directory, hidden things too, with the content of files."""
    return {str(path.relative_to(directory)): path.read_text() if path.is_file() else None for path in directory.rglob("*")}


@pytest.mark.parametrize("name", ["out", "p30.5"])
def test_a_new_directory_appears_whole_and_only_at_the_end(tmp_path: Path, name: str) -> None:
    path = tmp_path / "parents/are/made" / name
    with outputs.new_directory(path) as partial:
        (partial / "sub").mkdir()
        (partial / "sub/file").write_text("new")
        assert not path.exists()
    assert listing(path) == {"sub": None, "sub/file": "new"}
    assert os.listdir(path.parent) == [name]


def test_a_new_directory_replaces_all_of_the_former_one(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.mkdir()
    (path / "old").write_text("old")
    with outputs.new_directory(path) as partial:
        (partial / "new").write_text("new")
        assert (path / "old").read_text() == "old"
    assert listing(tmp_path) == {"out": None, "out/new": "new"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, OSError])
@pytest.mark.parametrize("existing", [True, False])
def test_after_a_failure_a_directory_is_as_it_was(tmp_path: Path, error: type[BaseException], existing: bool) -> None:
    path = tmp_path / "out"
    if existing:
        path.mkdir()
        (path / "old").write_text("old")
    before = listing(tmp_path)
    with pytest.raises(error), outputs.new_directory(path) as partial:
        (partial / "new").write_text("half")
        raise error
    assert listing(tmp_path) == before


def test_when_the_last_step_fails_the_former_directory_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.mkdir()
    (path / "old").write_text("old")
    with pytest.raises(FileNotFoundError), outputs.new_directory(path) as partial:
        shutil.rmtree(partial)
    assert listing(tmp_path) == {"out": None, "out/old": "old"}


def test_a_file_in_the_way_of_a_directory_is_reported_before_any_work(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("precious")
    with pytest.raises(StageError, match="out: is in the way"), outputs.new_directory(path):
        pytest.fail("the work began")
    assert listing(tmp_path) == {"out": "precious"}


BEGIN = """
import sys, time
from pathlib import Path
from gaitpress import outputs
with outputs.new_directory(Path(sys.argv[1])) as partial:
    (partial / "half").touch()
    time.sleep(60)
"""


def test_what_killed_processes_had_begun_is_removed_and_what_others_are_at_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "p30.5"
    command = [sys.executable, "-c", BEGIN, str(out)]
    killed, alive = (subprocess.Popen(command, cwd=ROOT) for _ in range(2))
    while len(begun := list(tmp_path.glob(".p30.partial-*.5/half"))) < 2:
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    with outputs.new_directory(out):  # it may be just beginning
        assert len(list(tmp_path.glob(".p30.partial-*.5/half"))) == len(begun)
    monkeypatch.setattr(outputs, "BEGINNING_S", 0.0)
    with outputs.new_directory(out):
        assert [path.parent.name for path in tmp_path.glob(".p30.partial-*.5/half")] == [f".p30.partial-{alive.pid}.5"]
    alive.terminate()
    alive.wait()


def test_what_is_half_removed_is_gone_on_with_by_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    with pytest.raises(OSError, match="first"), outputs.begun(out, "key") as begun:
        for name in ("a", "b", "c"):
            (begun / name).mkdir()
            (begun / name / "done").touch()
        raise OSError("first")
    removed: list[Path] = []

    def killed(path: Path, **_: object) -> None:
        if removed:
            raise KeyboardInterrupt
        removed.append(path)
        remove(path)

    remove = outputs.shutil.rmtree
    with monkeypatch.context() as patch:
        patch.setattr(outputs.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt), outputs.begun(out, "another"):
            pass
    with outputs.begun(out, "key") as begun:  # the former settings are back
        assert [path.name for path in begun.iterdir()] == ["key"]


def test_a_linked_directory_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "large-disk").mkdir()
    (tmp_path / "large-disk/old").write_text("old")
    (tmp_path / "out").symlink_to("large-disk")
    with outputs.new_directory(tmp_path / "out") as partial:
        (partial / "new").write_text("new")
    assert (tmp_path / "out").is_symlink()
    assert os.listdir(tmp_path / "large-disk") == ["new"]
    assert sorted(os.listdir(tmp_path)) == ["large-disk", "out"]


def test_work_that_is_resumed_ends_on_the_linked_disk(tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second disk")
    with tempfile.TemporaryDirectory(dir=memory) as other:
        (Path(other) / "large").mkdir()
        (tmp_path / "out").symlink_to(Path(other) / "large")
        with pytest.raises(OSError), outputs.resumed_directory(tmp_path / "out", "key") as directory:
            (directory / "half").write_text("half")
            raise OSError
        with outputs.resumed_directory(tmp_path / "out", "key") as directory:
            assert (directory / "half").exists()
        assert os.listdir(tmp_path / "out") == ["half"]
        assert (tmp_path / "out").is_symlink()


@pytest.mark.parametrize("name", ["model.onnx", "p30.5-int8.json", "plain"])
def test_a_new_file_keeps_its_suffix_and_appears_only_at_the_end(tmp_path: Path, name: str) -> None:
    path = tmp_path / "parent" / name
    with outputs.new_file(path) as partial:
        assert partial.name.endswith(path.suffix)  # savers choose a format by it
        assert partial.parent == path.parent
        assert partial.name.startswith(".")
        assert str(os.getpid()) in partial.name
        partial.write_text("new")
        assert not path.exists()
    assert listing(tmp_path) == {"parent": None, f"parent/{name}": "new"}


def test_after_a_failure_a_file_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text("old")
    with pytest.raises(ValueError, match="half"), outputs.new_file(path) as partial:
        partial.write_text("half")
        raise ValueError("half")
    assert listing(tmp_path) == {"file.json": "old"}


def test_json_is_sorted_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "new/metrics.json"
    outputs.write_json(path, {"b": 1.5, "a": ["ä", None, True]})
    assert path.read_text(encoding="utf-8").index('"a"') < path.read_text(encoding="utf-8").index('"b"')
    assert path.read_text(encoding="utf-8").endswith("}\n")
    assert outputs.read_json(path) == {"b": 1.5, "a": ["ä", None, True]}


def test_values_that_json_has_not_are_refused_and_leave_the_former_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    outputs.write_json(path, {"a": 1})
    for value in (float("nan"), float("inf"), object()):
        with pytest.raises((ValueError, TypeError)):
            outputs.write_json(path, {"a": value})
    assert os.listdir(tmp_path) == ["metrics.json"]
    assert outputs.read_json(path) == {"a": 1}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b'{"a": }'])
def test_a_file_that_is_no_json_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "index.json"
    path.write_bytes(content)
    with pytest.raises(StageError, match=r"index\.json: not valid JSON"):
        outputs.read_json(path)
    with pytest.raises(StageError, match=r"other\.json: no such file; run `dvc repro`"):
        outputs.read_json(tmp_path / "other.json")


def test_a_terminated_stage_leaves_nothing_half_written(tmp_path: Path) -> None:
    program = """
import sys, time
from pathlib import Path
import stages
from gaitpress import command_line, outputs
def main():
    with outputs.new_directory(Path(sys.argv[1])) as out:
        (out / "file").write_text("half")
        print("writing", flush=True)
        time.sleep(60)
command_line.run(main)
"""
    command = [sys.executable, "-c", program, str(tmp_path / "out")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as stage:
        assert stage.stdout is not None
        assert stage.stdout.readline() == "writing\n"
        assert len(os.listdir(tmp_path)) == 1
        stage.terminate()
        _, errors = stage.communicate(timeout=20)
    assert stage.returncode == 1
    assert errors == "error: terminated; no output was written\n"
    assert os.listdir(tmp_path) == []
