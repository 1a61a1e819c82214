"""Let DVC bring one stage up to date: `dvc --wait-for-lock repro --single-item ADDRESS` in a fraction of the processor time.

DVC decides what to do, does it and keeps its books, by the same code. What is spared is its command line, and reading and
writing the entries of all other stages in dvc.lock, which are seconds in each of a hundred jobs. And DVC notes of what a
stage reads what stood there before the stage began, where by itself it looks again afterwards: the stage sees to it that it
began with the same (stages/started.py).

    python -m workflow.run_stage train@gaitset
    python -m workflow.run_stage train@gaitset --on "$(uname -n)"

DVC's list of locks has the arguments of each process. With --on it tells the nodes of a cluster, which share the list, whose
process that is.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from pathlib import Path

from dvc.dependency import ParamsDependency
from dvc.dvcfile import load_file
from dvc.exceptions import DvcException, ReproductionError
from dvc.lock import LockError
from dvc.repo import Repo, lock_repo
from dvc.stage import PipelineStage
from dvc.utils.serialize import loads_yaml

from stages import started
from workflow import lock_file, read_once, run_cache
from workflow.repository import as_program, log, opened

POLL_S = 1.0


def run(address: str) -> None:
    """Run a stage, restore what it is known to make, or find that there is nothing to do.

    A process that is making it already, such as a job of a Snakemake that was killed, is waited for.

    Raises:
        DvcException: it failed, or there is no such stage.
    """
    waiting = False
    while True:
        try:
            _run(address)
            return
        except LockError as error:
            if not waiting:
                log.warning("waiting, for another process is at work: %s", error)
            waiting = True
            time.sleep(POLL_S)


def _run(address: str) -> None:
    with opened() as repo, lock_repo(repo), repo.scm_context():
        run_cache.mend(repo)
        with read_once.params():
            stage = _loaded(repo, address)
        seen = started.State(_listed(stage))  # before DVC looks: what the stage finds the same, DVC has found too
        _save_deps_once(stage)
        try:
            with read_once.params():
                changed = stage.reproduce(run_env={started.EXPECTED: seen.digest()})
        except LockError:
            raise
        except DvcException as error:
            raise ReproductionError(f"failed to reproduce '{address}'") from error
        if changed:
            lock_file.record([stage])


def _loaded(repo: Repo, address: str) -> PipelineStage:
    """A stage, with its own entry in dvc.lock as all that there is."""
    declared = load_file(repo, "dvc.yaml")
    path = Path(declared.path).with_suffix(".lock")
    entry = lock_file.entry_of(path.read_text(encoding="utf-8"), address) if path.exists() else None
    if entry is not None:
        # In place of what DVC would read; it keeps this for as long as the object lives, as its own.
        declared.lockfile_contents = loads_yaml(entry)
    return declared.stages[address]


def _listed(stage: PipelineStage) -> started.Listed:
    """What DVC hashes for a stage."""
    keys = {dep.def_path: dep.params for dep in stage.params}
    files = [dep.def_path for dep in stage.deps if not isinstance(dep, ParamsDependency)]
    return started.Listed(stage.addressing, files, keys)


def _save_deps_once(stage: PipelineStage) -> None:
    """Let DVC note what the stage reads when it looks for the first time, which is before it runs the command."""
    save = stage.save_deps
    saved: list[bool] = []

    def save_once(allow_missing: bool = False) -> None:
        if not saved:
            save(allow_missing=allow_missing)
            saved.append(True)

    stage.save_deps = save_once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="as `dvc repro` takes it")
    parser.add_argument("--on", metavar="NODE", help="the name of this computer")
    address = parser.parse_args().address
    # Should this process be killed, the stage ends too, for it is told of the end of its parent. That must not be a shell
    # that goes on: bash puts the stage in its own place, others stay.
    os.environ["SHELL"] = shutil.which("bash") or os.environ.get("SHELL", "")
    run(address)


if __name__ == "__main__":
    as_program(main)
