"""What a project of 1,500 variants costs: 500 networks (ten models, 25 percentiles, fp32 and int8) on three devices.

The project is this repository with the outputs of all stages, a dvc.lock with every entry, and records as those of real
measurements. Each command of a user runs on it as a program: seconds, seconds of the processor, the most memory of all its
processes together, and the lines that it prints. `edited` is `forecast` after a new percentile was listed, whose stages have
never run; `tracked_again` finds that MLflow has all variants.

    python -m benchmarks.many_variants --variants 120       # fewer, to try it
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common.large_study import VARIANTS, Study
from benchmarks.common.spending import MB, run, size_of

TRACK = ("python", "-m", "stages.track", "--results", "results", "--receipt", "measured/track.json")
COMMANDS: dict[str, tuple[str, ...]] = {
    "snakemake_n": ("snakemake", "-n", "--quiet", "--cores", "2", "all"),
    "dvc_status": ("dvc", "status"),
    "forecast": ("python", "-m", "gaitpress", "forecast"),
    "select": ("python", "-m", "gaitpress", "select", "--device", "local", "--max-loss", "1"),
    "report": ("python", "-m", "stages.report", "--results", "results", "--out", "measured/report"),
    "track": TRACK,
    "tracked_again": TRACK,
}
EDITED = "edited"


def measure(study: Study) -> dict[str, Any]:
    """The costs of each command."""
    figures = {}
    for name, command in COMMANDS.items():
        figures[name] = _cost(study, name, command)
    study.choose([*study.percentiles, 99])
    figures[EDITED] = _cost(study, EDITED, COMMANDS["forecast"])
    study.choose(study.percentiles)
    return figures


def _cost(study: Study, name: str, command: tuple[str, ...]) -> dict[str, Any]:
    print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr)
    return run(command, study.where).figures()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", type=int, default=VARIANTS, help=f"at least so many (default: {VARIANTS})")
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        study = Study.make(Path(folder) / "project", options.variants)
        costs = measure(study)
        stages = sum(len(stage.items()) for stage in study.pipeline.stages.values())
        lock_mb = round(size_of(study.where / "dvc.lock") / MB, 1)
        page_mb = round(size_of(study.where / "measured/report/index.html") / MB, 1)
    result = {"benchmark": "many_variants", "variants": study.variants, "stages": stages, "lock_mb": lock_mb}
    result |= {"page_mb": page_mb, **costs}
    if not options.json:
        print(f"{study.variants} variants, {stages} stages, dvc.lock of {lock_mb} MB, a page of {page_mb} MB")
        for name, cost in costs.items():
            spent = f"{cost['wall_s']:7.1f} s, {cost['cpu_s']:7.1f} s of the processor, {cost['peak_mb']:6.0f} MB"
            print(f"{name:14} {spent}, {cost['lines']} lines")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
