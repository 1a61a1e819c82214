"""What DVC and Snakemake cost beside the stages' own commands: this repository's DAG with stages that take milliseconds.

`noop_s`, `status_s`, `noop_dvc_repro_s`: seconds of `snakemake -n all`, `dvc status` and `dvc repro` with nothing to do.
`noop_after_run_s`, `noop_after_restore_s`: those of the first `snakemake -n all` once all has run, or was restored.
`overhead_cpu_s_per_job`: processor time (user and system) of a `snakemake all` that runs everything, less that of the
stages' commands, a job. `restore_s`: seconds of a `snakemake all` after a parameter of all stages was set back.
`parallel_ratio`: time of `snakemake --cores 2` by that of `dvc repro`, where every stage sleeps equally long. The devices
are two boards: what is measured on this machine has all of it to itself, on purpose.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.toy import run
from tests.support.toy_pipeline import Toy
from workflow.dvc.stages import Pipeline, read_yaml

PRECISIONS = ("fp32", "int8")
SLEEP_S = 4.0  # how long every stage of the pipeline takes of which two run at a time
BOARDS = ("one", "other")


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock and of the processor."""

    wall_s: float
    cpu_s: float


def cost(work: Callable[[], object]) -> Cost:
    """What running other programs costs; those of the calling process itself are left out."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    work()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def stages_of(toy: Toy) -> int:
    """How many stages a pipeline has."""
    pipeline = Pipeline.read(toy.where / "dvc.yaml", read_yaml(toy.where / "params.yaml"))
    return sum(len(stage.items()) for stage in pipeline.stages.values())


def with_stages(where: Path, least: int) -> Toy:
    """A pipeline of at least so many stages, by the number of its percentiles, with the real lists of dependencies."""
    empty, one = (stages_of(Toy.make(where / str(count), range(count), PRECISIONS)) for count in (0, 1))
    percentiles = range(max(1, math.ceil((least - empty) / (one - empty))))
    return Toy.make(where / "pipeline", percentiles, PRECISIONS, all_code=True)


def everything(toy: Toy) -> float:
    """Let Snakemake run all that is out of date; processor seconds a job beside the stages' own commands."""
    used = toy.where / "cpu.txt"
    used.unlink(missing_ok=True)
    total = cost(toy.snakemake).cpu_s
    own = [float(line) for line in used.read_text(encoding="utf-8").split()]
    return (total - sum(own)) / len(own)


def costs(toy: Toy) -> dict[str, Any]:
    """All but the parallel ratio."""
    noop = ["snakemake", "-n", "--cores", "2", "all"]

    def timed(*command: str) -> Cost:
        return cost(partial(run, list(command), toy.where))

    overhead = everything(toy)
    costs_of_programs = {
        "noop_after_run_s": timed(*noop),
        "noop_s": timed(*noop),
        "status_s": timed("dvc", "status"),
        "noop_dvc_repro_s": timed("dvc", "repro"),
    }
    toy.edit("subjects: 48", "subjects: 47")
    everything(toy)
    toy.edit("subjects: 47", "subjects: 48")
    costs_of_programs["restore_s"] = cost(toy.snakemake)
    costs_of_programs["noop_after_restore_s"] = timed(*noop)
    return {
        "overhead_cpu_s_per_job": round(overhead, 2),
        **{name: round(spent.wall_s, 2) for name, spent in costs_of_programs.items()},
        "cpu_s": {name.removesuffix("_s"): round(spent.cpu_s, 2) for name, spent in costs_of_programs.items()},
        "lock_lines": len((toy.where / "dvc.lock").read_text(encoding="utf-8").splitlines()),
    }


def parallel(where: Path) -> dict[str, float]:
    """The time of two jobs at once by that of one after the other."""
    commands = {"snakemake": ["snakemake", "--cores", "2", "all"], "dvc": ["dvc", "repro"]}
    wall = {}
    for program, command in commands.items():
        toy = Toy.make(where / program)
        for board in BOARDS:
            run(["python", "-m", "remote", "add", board, f"ssh://{board}.invalid"], toy.where)
        toy.edit(r"devices: \[.*?\]", f"devices: [{', '.join(BOARDS)}]")
        wall[program] = cost(partial(run, command, toy.where, GAITPRESS_TOY_SLEEP=str(SLEEP_S))).wall_s
    return {
        "parallel_ratio": round(wall["snakemake"] / wall["dvc"], 3),
        **{f"parallel_{program}_s": round(seconds, 1) for program, seconds in wall.items()},
    }


def measure(least: int) -> dict[str, Any]:
    """All figures, of pipelines in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        toy = with_stages(Path(folder), least)
        return {"benchmark": "orchestration", "stages": stages_of(toy), **costs(toy), **parallel(Path(folder))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", type=int, default=100, help="least number of stages (default: 100)")
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    options = parser.parse_args()
    result = measure(options.stages)
    if not options.json:
        print(f"{result['stages']} stages, dvc.lock has {result['lock_lines']} lines")
        print(f"beside its own command a job needs {result['overhead_cpu_s_per_job']} s of the processor")
        first = f"{result['noop_after_run_s']} s once all had run, {result['noop_after_restore_s']} s once it was restored"
        print(f"nothing to do: {result['noop_s']} s by snakemake -n ({first}), {result['noop_dvc_repro_s']} s by dvc repro")
        print(f"everything restored in {result['restore_s']} s; two at a time take {result['parallel_ratio']} x one by one")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
