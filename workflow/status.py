"""Print the addresses of the stages that DVC finds changed, a line each, and first bring back what it has computed before.

    python -m workflow.status             `dvc --wait-for-lock status`, in a third of the processor time
    python -m workflow.status --restore   the same, once stages are restored from DVC's run-cache whose addresses come as
                                          lines on standard input; it is read when all else is ready

One process restores a hundred stages, such as after a parameter was set back, in the time that ten jobs need to start.
Nothing is computed: a stage of which DVC knows no result stays as it is, and so do those that follow from it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence, Set
from typing import Any

from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.repo import lock_repo
from dvc.stage import PipelineStage

from workflow import lock_file, read_once, run_cache, stale_rwlock
from workflow.read_once import Hashes
from workflow.repository import answering, as_program, opened


def changed() -> list[str]:
    """The addresses of all stages that are out of date by their own command, inputs, parameters or outputs."""
    with opened() as repo, lock_repo(repo), read_once.files(), stale_rwlock.only_looked_at(repo):
        return [stage.addressing for stage in repo.index.stages if _out_of_date(stage)]


def _out_of_date(stage: PipelineStage) -> bool:
    try:
        return bool(stage.status(check_updates=True))
    except LockError:
        return True  # somebody is making it, or what it reads


def changed_after_restoring(wanted: Iterable[str]) -> list[str]:
    """Restore what is known of the stages wanted; the addresses of the stages that are out of date then.

    Of a stage that follows from one of them nothing is known before that one ran, so it is among them.
    """
    with opened() as repo, lock_repo(repo), read_once.files() as hashes:
        run_cache.mend(repo)
        repo.index  # noqa: B018  which DVC reads when it is first asked for
        found = Restoration(set(wanted), hashes)
        try:
            repo.reproduce(repro_fn=found)  # of all of dvc.yaml, in running order
        finally:
            lock_file.record(found.restored)
    return sorted(found.changed)


class Restoration:
    """What DVC's ``reproduce`` does with each stage in place of running it.

    Attributes:
        restored: the stages that were out of date and no longer are.
        changed: addresses of those that still are.
    """

    def __init__(self, wanted: Set[str], hashes: Hashes) -> None:
        self.restored: list[PipelineStage] = []
        self.changed: set[str] = set()
        self._wanted = wanted
        self._hashes = hashes

    def __call__(self, stage: PipelineStage, upstream: Sequence[PipelineStage] = (), **_: Any) -> None:
        """Restore a stage, if that is wanted and can be."""
        if any(read.addressing in self.changed for read in upstream):
            self.changed.add(stage.addressing)
            return
        try:
            inputs_changed = stage.changed_deps()
            if not (inputs_changed or stage.changed_stage() or stage.changed_outs()):
                return
            if stage.addressing in self._wanted:
                try:
                    _restore(stage, inputs_changed)
                finally:
                    self._hashes.forget(stage.outs)
                self.restored.append(stage)
                return
        except DvcException:
            pass  # whatever is wrong, the stage's own job will tell
        self.changed.add(stage.addressing)


def _restore(stage: PipelineStage, inputs_changed: bool) -> None:
    """Restore a stage's outputs as DVC's ``stage.run`` does; nothing is touched unless they are known.

    Raises:
        DvcException: they are not.
    """
    known = stage.repo.stage_cache
    if inputs_changed:
        stage.save_deps()
        # The outputs in dvc.lock are those of other inputs: DVC must look into its run-cache, as it does for a new command.
        stage.cmd_changed = True
    known.restore(stage, dry=True)
    stage.remove_outs()
    known.restore(stage)
    stage.save_outs()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restore", action="store_true", help="bring back what stages are known to make")
    restore = parser.parse_args().restore
    with answering() as answer:
        for address in changed_after_restoring(map(str.strip, sys.stdin)) if restore else changed():
            print(address, file=answer)
    os._exit(0)  # what was read is left to the kernel: to free it piece by piece takes Python an eighth of this time


if __name__ == "__main__":
    as_program(main)
