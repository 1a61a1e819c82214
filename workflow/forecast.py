"""Tell what bringing all stages up to date will cost, before anything runs: which come back from DVC's run-cache, which run
and for how long, as these last took.

    python -m workflow.forecast
    python -m workflow.forecast --json

A stage that follows from one that runs is counted among those that run, for what it will read is not known yet. Should its
inputs come out as they were, it costs nothing.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dvc.dependency import ParamsDependency
from dvc.exceptions import DvcException
from dvc.output import Output
from dvc.repo import lock_repo
from dvc.stage import PipelineStage
from dvc.stage.cache import _can_hash
from dvc_data.hashfile.tree import Tree

from stages.io import DURATIONS
from workflow import read_once
from workflow.read_once import Hashes
from workflow.repository import answering, as_program, opened


@dataclass
class Forecast:
    """What a run would do.

    Attributes:
        stages: how many there are.
        restored: addresses of the stages whose outputs DVC would bring back.
        runs: seconds by the addresses of the stages that would run, in running order; None if nothing alike has run yet.
        longest_s: seconds of the longest chain of these of which each waits for the one before.
    """

    stages: int = 0
    restored: list[str] = field(default_factory=list)
    runs: dict[str, float | None] = field(default_factory=dict)
    longest_s: float = 0.0

    @property
    def total_s(self) -> float:
        """Seconds of all that would run, one after the other."""
        return sum(seconds or 0.0 for seconds in self.runs.values())


def forecast(durations: Mapping[str, float]) -> Forecast:
    """What `snakemake all` or `dvc repro` would do now.

    Args:
        durations: seconds that stages last took, by address.
    """
    with opened() as repo, lock_repo(repo), read_once.files() as hashes:
        walk = _Walk(durations, hashes)
        repo.reproduce(repro_fn=walk)  # of all of dvc.yaml, in running order
        return walk.found


class _Walk:
    """What DVC's ``reproduce`` does with each stage in place of running it."""

    def __init__(self, durations: Mapping[str, float], hashes: Hashes) -> None:
        self.found = Forecast()
        self._durations = durations
        self._hashes = hashes
        self._coming: list[Output] = []  # what would be restored
        self._ends: dict[str, float] = {}

    def __call__(self, stage: PipelineStage, upstream: Sequence[PipelineStage] = (), **_: Any) -> None:
        self.found.stages += 1
        after = [read.addressing for read in upstream]
        if not any(address in self.found.runs for address in after):
            try:
                outs = self._without_running(stage)
            except (DvcException, OSError):
                outs = None  # what it reads is missing, or somebody is making it
            if outs is not None:
                self._coming += outs
                if outs:
                    self.found.restored.append(stage.addressing)
                return
        seconds = likely(stage.addressing, self._durations)
        self.found.runs[stage.addressing] = seconds
        self._ends[stage.addressing] = (seconds or 0.0) + max(
            (self._ends.get(address, 0.0) for address in after), default=0.0
        )
        self.found.longest_s = max(self.found.longest_s, self._ends[stage.addressing])

    def _without_running(self, stage: PipelineStage) -> list[Output] | None:
        """The outputs that would be restored, none if all are as they should be; None if the stage would run.

        Raises:
            DvcException, OSError: DVC could not tell.
        """
        if stage.is_callback or stage.always_changed:
            return None
        for dep in stage.deps:
            self._expect(dep)
        if stage.changed_stage() or (not stage.frozen and any(map(_differs, stage.deps))):
            return _results_of_another_run(stage)
        if not stage.changed_outs():
            return []
        return list(stage.outs) if stage.outs_cached() else None

    def _expect(self, dep: Output) -> None:
        """Let a dependency have the content that it will have once what would be restored is there."""
        paths = {
            tuple(dep.fs.relparts(out.fs_path, dep.fs_path)): out
            for out in self._coming
            if dep.fs.isin_or_eq(out.fs_path, dep.fs_path)
        }
        if (".",) in paths:
            self._hashes.expect(dep, next(iter(paths.values())).hash_info)
        elif paths:
            self._hashes.expect(dep, _with(dep, paths).hash_info)


def _differs(dep: Output) -> bool:
    if isinstance(dep, ParamsDependency):
        return bool(dep.status())
    return bool(dep.hash_info != dep.get_hash())


def _with(folder: Output, outs: Mapping[tuple[str, ...], Output]) -> Tree:
    """The content of a folder with outputs in it replaced.

    Args:
        folder: a dependency.
        outs: by their paths in it.
    """
    tree = Tree()
    if folder.fs.exists(folder.fs_path):
        _, _, there = folder._build(
            folder.local_cache, folder.fs_path, folder.fs, folder.hash_name, ignore=folder.dvcignore, dry_run=True
        )
        for key, meta, hash_info in there:
            if not any(key[: len(replaced)] == replaced for replaced in outs):
                tree.add(key, meta, hash_info)
    for key, out in outs.items():
        made = out.get_obj()
        if isinstance(made, Tree):
            for inner, meta, hash_info in made:
                tree.add((*key, *inner), meta, hash_info)
        else:
            tree.add(key, out.meta, out.hash_info)
    tree.digest()
    return tree


def _results_of_another_run(stage: PipelineStage) -> list[Output] | None:
    """The outputs that DVC's run-cache has for a stage; None if there are none."""
    for dep in stage.deps:
        if isinstance(dep, ParamsDependency):
            dep.hash_info = dep.get_hash()
        else:
            dep.meta, dep.hash_info = dep._get_hash_meta()  # the former meta has the former hash as well
    known = stage.repo.stage_cache
    entry = known._load(stage) if _can_hash(stage) else None
    if entry is None:
        return None
    made = known._create_stage(entry, wdir=stage.wdir)
    return list(made.outs) if made.outs_cached() else None


def likely(address: str, durations: Mapping[str, float]) -> float | None:
    """How long a stage will take: as long as it last took, else as that one of its name that shares most of its items.

    Returns:
        Seconds; None if none of its name has run.
    """
    if address in durations:
        return durations[address]
    name, _, items = address.partition("@")

    def shared(other: str) -> int:
        return sum(a == b for a, b in zip(items.split("-"), other.partition("@")[2].split("-"), strict=False))

    # Of those that share the same the one that ran last.
    alike = [other for other in reversed(list(durations)) if other.partition("@")[0] == name]
    return durations[max(alike, key=shared)] if alike else None


def recorded(path: Path = DURATIONS) -> dict[str, float]:
    """Seconds that stages last took, by address, in the order in which they last ran."""
    durations: dict[str, float] = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            whole = re.fullmatch(r"(.+),(\d+\.\d)", line)  # unlike one that a full disk cut
            if whole:
                durations.pop(whole[1], None)
                durations[whole[1]] = float(whole[2])
    return durations


def report(found: Forecast) -> str:
    """A forecast in words."""
    if not (found.runs or found.restored):
        return f"All {found.stages} stages are up to date."
    kinds: dict[str, list[float | None]] = {}
    for address, seconds in found.runs.items():
        kinds.setdefault(address.partition("@")[0], []).append(seconds)
    lines = [f"{len(found.runs)} of {found.stages} stages run; {len(found.restored)} come back from DVC's run-cache."]
    for kind, times in kinds.items():
        known = [seconds for seconds in times if seconds is not None]
        lines.append(f"  {kind:<12}{len(times):>4}  {_readable(sum(known)) if known else 'not run yet':>14}")
    if found.total_s:
        lines.append(f"One after the other they take {_readable(found.total_s)} if each takes as long as it last did,")
        lines.append(f"and with any number at a time at least {_readable(found.longest_s)}.")
    return "\n".join(lines)


def _readable(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    if hours:
        return f"{hours} h {rest // 60} min"
    return f"{rest // 60} min {rest % 60} s" if rest >= 60 else f"{rest} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object, with every stage")
    options = parser.parse_args()
    with answering() as answer:
        found = forecast(recorded())
        print(json.dumps({**asdict(found), "total_s": found.total_s}) if options.json else report(found), file=answer)


if __name__ == "__main__":
    as_program(main)
