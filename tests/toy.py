"""A copy of this repository with settings so small that the whole DAG runs in a minute or two."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
EDITS = {
    r"percentiles: \[.*?\]": "percentiles: [50]",
    r"subjects: 40 ": "subjects: 10 ",
    r"train_subjects: 24 ": "train_subjects: 7 ",
    r"views: \[.*?\]": 'views: ["072", "090"]',
    r"nm: 6 ": "nm: 5 ",
    r"bg: 2 ": "bg: 1 ",
    r"cl: 2 ": "cl: 1 ",
    r"frames: 50 ": "frames: 27 ",
    r"width: [\d.]+": "width: 0.0625",
    r"iterations: \d+": "iterations: 4",
    r"milestones: \[\d+\]": "milestones: [3]",
    r"epochs: [1-9]\d*": "epochs: 1",
    r"warmup_s: [\d.]+": "warmup_s: 0.1",
    r"duration_s: [\d.]+": "duration_s: 0.2",
    r"min_queries: \d+": "min_queries: 20",
    r"repeats: \d+": "repeats: 2",
}


def toy_params(text: str) -> str:
    """params.yaml made small."""
    for pattern, small in EDITS.items():
        text, found = re.subn(pattern, small, text)
        assert found, f"params.yaml has no {pattern}"
    return text


def environment() -> dict[str, str]:
    """What a user who activated this Python's environment has."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def run(command: list[str], where: Path, **extra: str) -> str:
    """Run a command and return what it printed; it must succeed."""
    done = subprocess.run(
        command, cwd=where, env=environment() | extra, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-6000:]}"
    return done.stdout


def copy_repository(target: Path) -> Path:
    """The files that git tracks or would track, committed in a repository of their own."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    run(["git", "init", "-q"], target)
    commit(target, "start")
    return target


def commit(where: Path, message: str) -> None:
    """Commit all that is not ignored, with an identity of the test's own."""
    run(["git", "add", "-A"], where)
    run(["git", "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-q", "-m", message], where)
