"""Whether our selection of filters keeps more rank-1 than Torch-Pruning's, for models of params.yaml at their own width.

On the synthetic walkers of params.yaml, by the stages of the pipeline: train once, prune by params.yaml's criterion with its
reconstruction, and by Torch-Pruning's magnitude and Taylor importances with as many filters gone from each layer. All are
fine-tuned by the same settings, with several seeds. `rank1_over_torch_pruning` is how much better ours is: the mean
difference in mean rank-1 with its interval (Student, 95 %), paired by seed.

`--work` keeps what was made, so that an interrupted benchmark goes on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common.selections import compared
from benchmarks.common.work import Work
from gaitpress import outputs
from workflow.dvc.stages import read_yaml

MODELS, PERCENTILE, SEEDS = ("gaitset", "gaitbase"), 70, 5


def measure(where: Path, model: str, percentile: int, seeds: int) -> dict[str, Any]:
    """The comparison for a model; ``where`` keeps what was made."""
    settings = read_yaml("params.yaml")
    modality = settings["model"][model]["modality"]
    settings |= {"models": [model], "dataset": "walkers", "modalities": [modality]}
    settings["threads"] = {**settings["threads"], "train": 2, "finetune": 2, "evaluate": 2}
    work = Work(where, settings)
    work.prepare(model)
    file, words = work.params("data"), ["--model", model, "--percentile", str(percentile), *work.training(model)]
    dense = work.stage("train", "train", file, "--model", model, *work.training(model))
    work.stage("prune", f"prune/p{percentile}", file, *words, "--dense", str(dense))
    rates = work.stage("evaluate", "evaluate/dense.json", file, "--model", model, "--trained", str(dense), *work.test(model))
    sections = {section: settings[section] for section in ("model", "finetune")}
    result = compared(work, model, percentile, dense, sections, range(1, seeds + 1))
    return {"model": model, "dense": round(outputs.read_json(rates)["rank1"]["mean"], 2), **result}


def run(where: Path, models: Sequence[str], percentile: int, seeds: int) -> list[dict[str, Any]]:
    return [measure(where / model, model, percentile, seeds) for model in models]


def sentences(row: Mapping[str, Any]) -> list[str]:
    """A model's comparison in words."""
    means = {name: sum(values) / len(values) for name, values in row["seeds"].items()}
    removed = f"{row['compared_at_percentile']} % removed"
    lines = [f"{row['model']}: dense {row['dense']:.1f}, {removed}: ours {means['ours']:.1f}"]
    for peer, difference in row["rank1_over_torch_pruning"].items():
        low, high = difference["interval"]
        lines.append(
            f"  Torch-Pruning's {peer} {means[f'torch-pruning-{peer}']:.1f}: ours is better by {difference['mean']:.1f} "
            f"({low:.1f} to {high:.1f})"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS), help=f"PyTorch models (default: {' '.join(MODELS)})")
    parser.add_argument("--percentile", type=int, default=PERCENTILE, help=f"default: {PERCENTILE}")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"seeds of the fine-tuning (default: {SEEDS})")
    parser.add_argument("--work", type=Path, help="folder that keeps what was made (default: a temporary one)")
    parser.add_argument("--json", action="store_true", help="print only the JSON list")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = run(options.work or Path(scratch), options.models, options.percentile, options.seeds)
    if not options.json:
        print("\n".join(line for row in rows for line in sentences(row)))
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
