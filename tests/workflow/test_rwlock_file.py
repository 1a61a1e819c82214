"""Whose entries in DVC's list of locks are dropped before a run, and whose are not; and that no run leaves half a list."""

from __future__ import annotations

import json
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.families import some
from tests.support.toy import ROOT, environment
from workflow.dvc.private import Repo, mend_list

JOB = "workflow/dvc/run_stage.py train@gaitset"
# The kernel kills a process as soon as a file grows beyond a limit: here in the middle of its second list.
KILLED_WHILE_WRITING = """
import resource, signal
from workflow.dvc.private import opened, rwlock

with opened() as repo:
    def writes(file):
        return rwlock.rwlock(repo.tmp_dir, repo.fs, "train@gaitset", [], [file], False)

    with writes("/results/train"):
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
        with writes("/results/" + 200 * "x"):
            pass
"""

# As DVC does for a stage: the list has the words by which Python was started.
HOLDS = """
import sys
from workflow.dvc.private import Repo, rwlock

with Repo() as repo, rwlock.rwlock(repo.tmp_dir, repo.fs, " ".join(sys.argv), [], ["/results/train"], False):
    print("holds", flush=True)
    input()
"""


def test_processes_that_are_no_more_are_dropped_and_those_on_other_nodes_are_not(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    commands = {"by hand": JOB, "here": f"{JOB} --on {platform.node()}", "there": f"{JOB} --on another-node"}
    entries = {file: {"pid": ended.pid, "cmd": command} for file, command in commands.items()}
    running = subprocess.Popen([sys.executable, "-c", "input()", "train@gaitset"], stdin=subprocess.PIPE)
    entries["running"] = {"pid": running.pid, "cmd": "-c train@gaitset"}  # the arguments that it sees
    repo = Repo.init(str(tmp_path), no_scm=True)
    listed = Path(repo.tmp_dir, "rwlock")
    listed.write_text(json.dumps({"write": entries, "read": {file: [entry] for file, entry in entries.items()}}))
    mend_list(repo)
    running.communicate(b"\n")
    left = json.loads(listed.read_text())
    assert left["write"].keys() == left["read"].keys() == {"there", "running"}
    repo.close()


@pytest.mark.parametrize(
    "start",
    some(
        [["a file.py"], ["-m", "inner.module"], ["-m", "inner"], ["-X", "utf8", "-c", HOLDS]],
        ["a file.py"],
        ["-m", "inner.module"],
    ),
)
def test_the_words_of_a_running_process_may_hold_blanks(tmp_path: Path, start: list[str]) -> None:
    where = tmp_path / "my own work"
    (where / "inner").mkdir(parents=True)
    for name in ("a file.py", "inner/module.py", "inner/__main__.py"):
        (where / name).write_text(HOLDS)
    repo = Repo.init(str(where), no_scm=True)
    reached = environment() | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, *start, "train@gaitset", "two words"]
    with subprocess.Popen(command, cwd=where, env=reached, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"holds\n"
        mend_list(repo)
        left = json.loads(Path(repo.tmp_dir, "rwlock").read_text())
        running.communicate(b"\n")
    assert left["write"].keys() == {"/results/train"}
    assert running.returncode == 0
    repo.close()


def test_a_process_killed_while_it_writes_leaves_the_former_list(tmp_path: Path) -> None:
    repo = Repo.init(str(tmp_path), no_scm=True)
    command = [sys.executable, "-c", KILLED_WHILE_WRITING]
    reached = environment() | {"PYTHONPATH": str(ROOT)}
    killed = subprocess.run(command, cwd=tmp_path, env=reached, stderr=subprocess.PIPE, text=True)
    assert killed.returncode == -signal.SIGXFSZ, killed.stderr
    listed = Path(repo.tmp_dir, "rwlock")
    assert json.loads(listed.read_text())["write"].keys() == {"/results/train"}
    mend_list(repo)
    assert json.loads(listed.read_text()) == {"write": {}, "read": {}}
    repo.close()
