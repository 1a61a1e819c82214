"""Whether a network that is pruned to a time takes that time, and what it keeps beside uniform percentiles.

On device `local`, in fp32, with params.yaml's settings. The stage `times` measures each model; then `prune` takes 30, 50 and
70 % of its time. These networks, the full one and those of uniform percentiles (`mode: percentile`, every 5 %) are timed in
one run, by turns. `asked` and `measured` are shares of the full network's time; `off` is how far they are apart, in %. A
time is that of the fastest query of all turns, for others only add time; `by_median` is the share by the turns' medians.
`uniform` is the percentile whose time is nearest to the measured one, and `macs_ratio` the multiply-adds of the network that
was pruned to a time, divided by those of the uniform one. Weights are fresh, filters go by `mean-l1`, and nothing is
reconstructed: that needs no data, and changes no time. A time that the widths of a small network do not reach has no row.

With `--train`, networks are trained on params.yaml's dataset, pruned, reconstructed if `prune.reconstruct` says so, and
fine-tuned, and `rank1` is the mean rank-1 of both.
`--work` keeps what was made, so that an interrupted benchmark goes on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.work import Work
from compress.pruning.time_budget import fastest, problem_of
from compress.pruning.times import TimeModel
from gaitpress import outputs, params
from gaitpress.frameworks import framework
from gaitpress.timing.bench import Bench
from gaitpress.timing.shapes import Shape, build, measure
from gaitpress.timing.table import in_short_turns, least_ms
from workflow.dvc.stages import read_yaml

MODELS = ("gaitset", "gaitbase", "baseline", "cnn2d")
ASKED, UNIFORM = (30, 50, 70), tuple(range(5, 100, 5))
CLASSES = 2  # of networks with fresh weights, whose classifier is not deployed
DEVICES = "remote/devices.yaml"


class Model:
    """A model in a folder of work, trained or with fresh weights, and its pruned networks."""

    def __init__(self, name: str, work: Work, train: bool) -> None:
        self.name, self.work, self.train = name, work, train
        prune = dict(work.settings["prune"])
        if not train:
            prune |= {"reconstruct": False, "criterion": "mean-l1"}  # there are no data
        self.to_time = work.params("latency", prune={**prune, "mode": "latency", "device": "local"})
        uniform = {**prune, "mode": "percentile", "scope": "layer"}
        self.uniformly = work.params("percentile", prune=uniform)
        # Time is a matter of widths, and those of uniform percentiles are the same by every criterion.
        self.widths = work.params("widths", prune={**uniform, "criterion": "mean-l1", "reconstruct": False})
        self.words = ["--model", name]
        self.facts = work.stage("probe", "facts.json", self.to_time, "--device", "local", "--devices", DEVICES)
        self.dense = self._trained() if train else work.fresh(name, self.uniformly, CLASSES)
        words = [*self.words, "--device", "local", "--devices", DEVICES, "--facts", str(self.facts)]
        self.table = outputs.read_json(work.stage("times", f"times/local/{name}.json", self.to_time, *words))

    def asked(self) -> list[int]:
        """The percentiles that its widths reach."""
        times = TimeModel.of_json(self.table["times"])
        prune = self.work.settings["prune"]
        budget = problem_of(
            times, {name: np.ones(most) for name, most in times.filters.items()}, prune["round_to"], prune["keep_min"]
        )
        least = budget.ms(fastest(budget)) / self.table["dense_ms"]
        return [percentile for percentile in ASKED if 1 - percentile / 100 >= least]

    def pruned(self, percentile: int, way: str) -> Path:
        """The folder of the network at a percentile, pruned to a time, uniformly, or uniformly in widths alone."""
        file = {"time": self.to_time, "uniform": self.uniformly, "widths": self.widths}[way]
        words = [*self.words, "--percentile", str(percentile), "--dense", str(self.dense)]
        words += ["--times", str(self.work.where / "times"), *(self.work.training(self.name) if self.train else ())]
        return self.work.stage("prune", f"prune/{self.name}/{way}-{percentile}", file, *words)

    def rank1(self, percentile: int, way: str) -> float:
        """The mean rank-1 of the network at a percentile, fine-tuned, in %."""
        pruned = self.pruned(percentile, way)
        words = [*self.words, "--percentile", str(percentile), "--pruned", str(pruned), *self.work.training(self.name)]
        tuned = self.work.stage("finetune", f"finetune/{self.name}/{pruned.name}", self.uniformly, *words)
        words = [*self.words, "--trained", str(tuned), *self.work.test(self.name)]
        rates = self.work.stage("evaluate", f"evaluate/{self.name}/{pruned.name}.json", self.uniformly, *words)
        return float(outputs.read_json(rates)["rank1"]["mean"])

    def _trained(self) -> Path:
        self.work.prepare(self.name)
        words = [*self.words, *self.work.training(self.name)]
        return self.work.stage("train", f"train/{self.name}", self.uniformly, *words)


def timed(model: Model) -> dict[str, dict[str, Any]]:
    """Time and multiply-adds of the full network and all pruned ones, by the names of their folders; of one run."""
    file = model.work.where / f"timed/{model.name}.json"
    if file.exists():
        kept: dict[str, dict[str, Any]] = outputs.read_json(file)
        return kept
    settings = params.load(model.to_time)
    entry = settings.entry(model.name).phases()[-1]
    library = framework(entry.framework)
    library.use_threads(1)
    folders = [
        model.dense,
        *(model.pruned(percentile, "time") for percentile in model.asked()),
        *(model.pruned(percentile, "widths") for percentile in UNIFORM),
    ]
    benchmark = in_short_turns(settings.benchmark.model_copy(update={"sweep": []}))
    with (
        Bench.find("local", Path(DEVICES), model.facts, "the benchmark") as bench,
        outputs.begun(file, model.name) as kept_in,
    ):
        shapes = []
        for folder in folders:
            shape = Shape("dense" if folder == model.dense else folder.name, 0)
            shape.network = build(library, library.load(folder), entry, bench, settings, kept_in / shape.key)
            shapes.append(shape)
        measure(model.name, shapes, bench, benchmark, kept_in)
        turns = range(benchmark.repeats)
        costs = {
            shape.key: {
                "ms": least_ms(shape, turns),
                "median_ms": float(np.median([turn["p50"] for turn in shape.turns])),
                "macs": shape.network["macs"],
            }
            for shape in shapes
        }
        outputs.write_json(file, costs)
    return costs


def rows(model: Model) -> list[dict[str, Any]]:
    """A row for each time that was asked for and that widths reach."""
    costs = timed(model)
    dense = costs["dense"]
    result = []
    for percentile in model.asked():
        ours = costs[f"time-{percentile}"]
        uniform = min(UNIFORM, key=lambda other: abs(costs[f"widths-{other}"]["ms"] - ours["ms"]))
        peer = costs[f"widths-{uniform}"]
        asked = 1 - percentile / 100
        result.append(
            {
                "model": model.name,
                "percentile": percentile,
                "dense_ms": dense["ms"],
                "asked": round(asked, 3),
                "measured": round(ours["ms"] / dense["ms"], 3),
                "by_median": round(ours["median_ms"] / dense["median_ms"], 3),
                "off": round(100 * (ours["ms"] / dense["ms"] / asked - 1), 1),
                "table_error": model.table["error"]["p90"],
                "uniform": uniform,
                "uniform_measured": round(peer["ms"] / dense["ms"], 3),
                "macs_ratio": round(ours["macs"] / peer["macs"], 3),
            }
        )
        if model.train:
            result[-1] |= {"rank1": model.rank1(percentile, "time"), "uniform_rank1": model.rank1(uniform, "uniform")}
    return result


def sentence(row: Mapping[str, Any]) -> str:
    """A row in words."""
    line = (
        f"{row['model']:10} {row['percentile']:3} %: {100 * row['asked']:.0f} % of {row['dense_ms']:.3g} ms asked for, "
        f"{100 * row['measured']:.1f} % measured; uniform {row['uniform']} % takes {100 * row['uniform_measured']:.1f} %, "
        f"with {1 / row['macs_ratio']:.2f} times the multiply-adds"
    )
    return f"{line}; rank-1 {row['rank1']:.1f} beside {row['uniform_rank1']:.1f}" if "rank1" in row else line


def run(where: Path, models: Sequence[str], train: bool, quiet: bool) -> list[dict[str, Any]]:
    all_rows = []
    work = Work(where, read_yaml("params.yaml"))
    compared = [Model(name, work, train) for name in models]
    for model in compared:  # all times first, for nothing else may run on the machine meanwhile
        timed(model)
    for model in compared:
        of_model = rows(model)
        all_rows += of_model
        if not quiet:
            print("\n".join(map(sentence, of_model)), flush=True)
    return all_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print only the JSON list")
    parser.add_argument("--train", action="store_true", help="train and fine-tune on params.yaml's dataset, and test")
    parser.add_argument(
        "--models", nargs="+", default=list(MODELS), help=f"entries of `model` (default: {' '.join(MODELS)})"
    )
    parser.add_argument("--work", type=Path, help="folder to keep what is made (default: a temporary one)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps(run(options.work or Path(scratch), options.models, options.train, options.json)))


if __name__ == "__main__":
    main()
