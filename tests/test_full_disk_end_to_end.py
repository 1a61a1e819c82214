"""A disk that is full, or fills, in every stage of a whole pipeline."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest

from tests.support.small_disk import SmallDisk, mounted
from tests.support.toy import copy_repository, environment, make_small, run
from workflow.dvc.private import Repo

# Two minutes: each stage of the pipeline runs, is stopped twice by a full disk, and runs again.
pytestmark = pytest.mark.slow

# What they make has times, dates or numbers of runs in it, or shows them.
MEASURED = ("times", "build", "benchmark", "recognise", "report", "track")
FULL = ("is full (", "no space was left on the disk of", "too little room")
SIZE = 200 << 20


def stages(where: Path) -> dict[str, tuple[list[str], list[Path]]]:
    """The command and the outputs of one item of each stage, in the order in which they can run."""
    by_name: dict[str, tuple[list[str], list[Path]]] = {}
    with chdir(where), Repo(str(where)) as repo:
        for stage in repo.index.stages:
            name = stage.addressing.partition("@")[0]
            by_name.setdefault(name, (stage.cmd.split(), [where / out.def_path for out in stage.outs]))
    return by_name


def content(paths: list[Path]) -> dict[str, bytes]:
    """Of files, and of all files of folders."""
    files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
    return {str(file): file.read_bytes() for file in files}


def hidden(where: Path) -> set[Path]:
    """What is not whole is called by a name with a dot."""
    paths = [path for folder in ("data", "results", "remote/facts") for path in (where / folder).rglob(".*")]
    return {path for path in paths if path.name != ".gitignore"}


def said_of_failure(command: list[str], where: Path) -> str | None:
    """The one line of a stage that fails; None if it succeeded."""
    done = subprocess.run([sys.executable, *command[1:]], cwd=where, env=environment(), capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    if not done.returncode:
        return None
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line


def test_a_disk_that_fills_is_reported_in_every_stage_which_goes_on_once_there_is_room(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", SIZE) as disk:
        where = disk.where / "repository"
        where.mkdir()
        copy_repository(where)
        make_small(where / "params.yaml", models=["gaitset"], precisions=["int8"], modalities=["silhouette"])
        run(["dvc", "repro", "-q"], where)
        faults = []
        for name, (command, outs) in stages(where).items():
            faults += of_stage(name, command, outs, where, disk)
        assert not faults, "\n".join(faults)


def of_stage(name: str, command: list[str], outs: list[Path], where: Path, disk: SmallDisk) -> list[str]:
    """Faults of a stage on a disk without any room, on one with too little, and on one with room again."""
    before, others = content(outs), hidden(where)
    size = sum(map(len, before.values()))
    faults = []
    for left in {0, max(1 << 13, int(0.6 * size))} if size > 1 << 14 else {0}:
        for out in outs:
            shutil.rmtree(out) if out.is_dir() else out.unlink()
        disk.leave(left)
        line = said_of_failure(command, where)
        print(f"{name}, {left} bytes left: {line}")
        if line is None and left:
            pass  # it was enough
        elif line is None or "make room there" not in line or not any(words in line for words in FULL):
            faults.append(f"{name}, {left} bytes left: {line}")
        elif content(outs):
            faults.append(f"{name}, {left} bytes left: an output is there")
        disk.make_room()
        done = subprocess.run([sys.executable, *command[1:]], cwd=where, env=environment(), capture_output=True, text=True)
        if done.returncode:
            faults.append(f"{name} with room again: {done.stderr}")
        if name not in MEASURED and content(outs) != before:
            faults.append(f"{name}: made again, it is something else")
        if more := hidden(where) - others:
            faults.append(f"{name}: left behind: {more}")
    return faults
