"""A copy of this repository with settings so small that the whole DAG runs in a minute or two."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
SMALL = {
    "prune.percentiles": [50],
    "datasets.walkers.subjects": 10,
    "datasets.walkers.partition.train_subjects": 7,
    "datasets.walkers.views": ["072", "090"],
    "datasets.walkers.nm": 5,
    "datasets.walkers.bg": 1,
    "datasets.walkers.cl": 1,
    "datasets.walkers.frames": 27,
    "model.gaitset.width": 0.0625,
    "model.gaitset.schedule.iterations": 4,
    "model.cnn2d.width": 0.0625,
    "model.cnn2d.schedule.epochs": 1,
    "model.cnn2d.schedule.extra_epochs": 0,
    "finetune.gaitset.iterations": 2,
    "finetune.cnn2d.epochs": 1,
    "benchmark.warmup_s": 0.1,
    "benchmark.duration_s": 0.2,
    "benchmark.min_queries": 20,
    "benchmark.repeats": 2,
}


def make_small(params: Path, **more: object) -> None:
    """Give params.yaml the settings of SMALL, and others of the test's own by their dotted names."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1000
    content = yaml.load(params.read_text(encoding="utf-8"))
    for keys, value in {**SMALL, **more}.items():
        *sections, key = keys.split(".")
        section = content
        for name in sections:
            section = section[name]
        assert key in section, f"params.yaml has no {keys}"
        section[key] = value
    with params.open("w", encoding="utf-8") as file:
        yaml.dump(content, file)


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
    """The files that git tracks or would track, committed in a repository of their own.

    Without dvc.lock, which tells what was run in this one, such as by `make demo`.
    """
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    for name in {*listed.stdout.split("\0")} - {"", "dvc.lock"}:
        if (ROOT / name).is_file() or (ROOT / name).is_symlink():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)  # `profiles` is a link to a folder
    run(["git", "init", "-q"], target)
    commit(target, "start")
    return target


def commit(where: Path, message: str) -> None:
    """Commit all that is not ignored, be it as it was, with an identity of the test's own."""
    run(["git", "add", "-A"], where)
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    run(["git", *identity, "commit", "-q", "--allow-empty", "-m", message], where)


def rates(where: Path, device: str, model: str, percentile: float, precision: str = "fp32") -> dict[str, Any]:
    """The accuracy of an engine, as recognise reported it."""
    path = where / f"results/recognise/{device}/{model}/p{percentile}-{precision}.json"
    accuracy: dict[str, Any] = json.loads(path.read_text())["accuracy"]
    return accuracy


def evaluated(where: Path, model: str, percentile: float) -> dict[str, Any]:
    """The accuracy of a fine-tuned model in its framework."""
    out = where / f"logs/evaluated-{model}-{percentile}.json"
    command = [sys.executable, "-m", "stages.evaluate", "--model", model, "--out", str(out)]
    command += ["--trained", f"results/finetune/{model}/p{percentile}", "--test", f"data/test/{model}.json"]
    run([*command, "--preprocessed", "data/preprocessed"], where)
    metrics: dict[str, Any] = json.loads(out.read_text())
    return metrics
