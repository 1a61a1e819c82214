"""Whose entries in DVC's list of locks are dropped before a run, and whose are not."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

from dvc.repo import Repo

from workflow import stale_rwlock

JOB = "workflow/run_stage.py train@gaitset"


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
    stale_rwlock.mend(repo)
    running.communicate(b"\n")
    left = json.loads(listed.read_text())
    assert left["write"].keys() == left["read"].keys() == {"there", "running"}
    repo.close()
