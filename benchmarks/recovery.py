"""What brings back the rank-1 that pruning took: ways of reconstruction and fine-tuning, on the same dense networks.

    python -m benchmarks.recovery --models gaitset cnn2d --percentiles 30 60 --seeds 5 --work recovery

On the synthetic walkers of params.yaml, by the stages of the pipeline. For each seed, which draws the first weights and the
batches, one dense network is trained by params.yaml; every way starts from it, and `evaluate` gives the mean rank-1. PyTorch
models train as long whatever the way: seconds that reconstruction or a criterion takes are taken off the iterations of its
fine-tuning.
For Keras, whose epochs cannot be divided, `seconds` tells what each way took.

`difference` is a way's mean rank-1 less that of `reference`, paired by seed, with its 95 % interval (Student). `loss` is
what a way loses against the dense network of its seed. `--work` keeps what was made: an interrupted run goes on, and more
seeds, percentiles or ways add to it.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common.intervals import paired
from benchmarks.common.work import Work
from gaitpress import outputs
from workflow.dvc.stages import read_yaml

SEEDS, PERCENTILES = 5, (60,)


@dataclass(frozen=True)
class Way:
    """How a pruned network recovers.

    Attributes:
        reconstruct: whether the layers that read removed filters are solved anew.
        criterion: which filters go.
        decay: how the learning rate of the fine-tuning falls; None: there is no fine-tuning.
        rate: the learning rate as a multiple of that of params.yaml.
        freeze_batch_norm: whether batch norms stay as they are.
        steps: filters go in so many steps, each with its share of the fine-tuning.
    """

    reconstruct: bool
    criterion: str = "mean-l1"
    decay: str | None = "cosine"
    rate: float = 1
    freeze_batch_norm: bool = False
    steps: int = 1

    @property
    def pruning(self) -> dict[str, Any]:
        """What it changes in the section ``prune`` of params.yaml."""
        return {"reconstruct": self.reconstruct, "criterion": self.criterion}


REFERENCE = "cosine"
WAYS = {
    "no training": Way(reconstruct=False, decay=None),
    "no training, reconstructed": Way(reconstruct=True, decay=None),
    "no training, reconstructed, taylor": Way(reconstruct=True, criterion="taylor", decay=None),
    "no training, reconstructed, reconstruction-error": Way(reconstruct=True, criterion="reconstruction-error", decay=None),
    "cosine": Way(reconstruct=False),
    "constant": Way(reconstruct=False, decay="constant"),
    "one-cycle": Way(reconstruct=False, decay="one-cycle"),
    "restarts": Way(reconstruct=False, decay="restarts"),
    "cosine, half the rate": Way(reconstruct=False, rate=0.5),
    "cosine, twice the rate": Way(reconstruct=False, rate=2),
    "reconstructed, cosine": Way(reconstruct=True),
    "reconstructed, cosine, taylor": Way(reconstruct=True, criterion="taylor"),
    "reconstructed, cosine, reconstruction-error": Way(reconstruct=True, criterion="reconstruction-error"),
    "reconstructed, cosine, half the rate": Way(reconstruct=True, rate=0.5),
    "reconstructed, cosine, twice the rate": Way(reconstruct=True, rate=2),
    "reconstructed, cosine, batch norms frozen": Way(reconstruct=True, freeze_batch_norm=True),
    "reconstructed, cosine, in two steps": Way(reconstruct=True, steps=2),
}


class Recovery:
    """The comparison for one model."""

    def __init__(self, work: Work, model: str, iterations: int | None) -> None:
        self.work, self.model = work, model
        self.entry = work.settings["model"][model]
        self.finetune = dict(work.settings["finetune"][model])
        if iterations is not None and self.entry["framework"] == "torch":
            self.finetune["iterations"] = iterations
        work.prepare(model)

    def _settings(self, name: str, seed: int, way: Way, finetune: Mapping[str, Any]) -> Path:
        sections = self.work.settings
        return self.work.params(
            f"{self.model}-{name}",
            model={**sections["model"], self.model: {**self.entry, "seed": seed}},
            prune={**sections["prune"], "mode": "percentile", **way.pruning},
            finetune={**sections["finetune"], self.model: dict(finetune)},
        )

    def dense(self, seed: int) -> Path:
        """The dense network of a seed."""
        settings = self._settings(f"dense-{seed}", seed, WAYS[REFERENCE], self.finetune)
        out = f"train/{self.model}-{seed}"
        return self.work.stage("train", out, settings, "--model", self.model, *self.work.training(self.model))

    def rank1(self, trained: Path, seed: int) -> float:
        """The mean rank-1 of a network."""
        out = f"evaluate/{trained.relative_to(self.work.where).as_posix().replace('/', '-')}.json"
        words = ["--model", self.model, "--trained", str(trained), *self.work.test(self.model)]
        settings = self._settings(f"dense-{seed}", seed, WAYS[REFERENCE], self.finetune)
        rates = outputs.read_json(self.work.stage("evaluate", out, settings, *words))
        return float(rates["rank1"]["mean"])

    def _pruned(self, name: str, settings: Path, dense: Path, percentile: float) -> Path:
        words = ["--model", self.model, "--percentile", f"{percentile:g}", "--dense", str(dense)]
        return self.work.stage("prune", f"prune/{name}", settings, *words, *self.work.training(self.model))

    def _tuned(self, name: str, settings: Path, pruned: Path, percentile: float) -> Path:
        words = ["--model", self.model, "--percentile", f"{percentile:g}", "--pruned", str(pruned)]
        return self.work.stage("finetune", f"finetune/{name}", settings, *words, *self.work.training(self.model))

    def _spared(self, way: Way, percentile: float) -> int:
        """The iterations that take as long as what a way does more than the reference before fine-tuning.

        They are measured once for a percentile and a way of pruning.
        """
        reference = WAYS[REFERENCE]
        if self.entry["framework"] != "torch" or way.pruning == reference.pruning:
            return 0
        dense, seconds = self.dense(self.entry["seed"]), {}
        for pruning, iterations in ((reference, 0), (way, 10)):
            what = f"{pruning.criterion}{'-reconstructed' if pruning.reconstruct else ''}"
            name = f"{self.model}-p{percentile:g}-cost-{what}-{iterations}"
            short = {**_without_milestones(self.finetune), "decay": "constant", "iterations": iterations}
            settings = self._settings(name.removeprefix(f"{self.model}-"), self.entry["seed"], pruning, short)
            self._tuned(name, settings, self._pruned(name, settings, dense, percentile), percentile)
            seconds[iterations] = [self.work.seconds()[f"{stage}/{name}"] for stage in ("prune", "finetune")]
        more, ten = (max(after - before, 0) for before, after in zip(seconds[0], seconds[10], strict=True))
        return min(math.ceil(10 * more / max(ten, 1e-3)), self.finetune["iterations"] - 1)

    def recovered(self, name: str, percentile: float, seed: int) -> Path:
        """The network of a seed, pruned, and trained again by a way."""
        way, network, label = WAYS[name], self.dense(seed), _label(name, percentile, seed)
        frozen = {"freeze_batch_norm": True} if way.freeze_batch_norm else {}
        settings = {**_without_milestones(self.finetune), "lr": self.finetune["lr"] * way.rate, **frozen}
        settings["decay"] = way.decay or "constant"  # which every model's section takes
        if way.decay:
            key = "iterations" if self.entry["framework"] == "torch" else "epochs"
            settings[key] -= self._spared(way, percentile)
            settings[key] = max(settings[key] // way.steps, 1)
        file = self._settings(label, seed, way, settings)
        for step in range(1, way.steps + 1):
            # Equal shares of what is left go in every step.
            left = (1 - percentile / 100) ** (1 / way.steps)
            step_name = f"{self.model}-{label}-{step}"
            network = self._pruned(step_name, file, network, 100 * (1 - left))
            if way.decay:
                network = self._tuned(step_name, file, network, percentile)
        return network

    def takes(self, way: Way) -> bool:
        """Whether a way makes sense for the model."""
        has_batch_norm = any(row["kind"].startswith("BatchNorm") for row in self._layers())
        return not way.freeze_batch_norm or (self.entry["framework"] == "torch" and has_batch_norm)

    def _layers(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = outputs.read_json(self.dense(self.entry["seed"]) / "layers.json")
        return [row for row in rows if not row.get("training_only")]

    def rows(self, percentile: float, seeds: Sequence[int], ways: Sequence[str]) -> list[dict[str, Any]]:
        """A row a way: its mean rank-1, its loss against the dense networks and its difference to the reference."""
        dense = [self.rank1(self.dense(seed), seed) for seed in seeds]
        means: dict[str, list[float]] = {}
        seconds: dict[str, float] = {}
        for seed in seeds:
            for name in ways:
                network = self.recovered(name, percentile, seed)
                means.setdefault(name, []).append(self.rank1(network, seed))
                seconds[name] = self._seconds_of(name, percentile, seed)
        return [
            {
                "model": self.model,
                "percentile": percentile,
                "way": name,
                "rank1": round(float(np.mean(values)), 2),
                "seeds": [round(value, 2) for value in values],
                "loss": paired(np.subtract(dense, values)),
                "difference": paired(np.subtract(values, means[REFERENCE])),
                "seconds": seconds[name],
            }
            for name, values in means.items()
        ]

    def _seconds_of(self, name: str, percentile: float, seed: int) -> float:
        steps = f"{self.model}-{_label(name, percentile, seed)}-"
        taken = self.work.seconds().items()
        return round(sum(seconds for out, seconds in taken if out.partition("/")[2].startswith(steps)), 1)


def _label(way: str, percentile: float, seed: int) -> str:
    return f"p{percentile:g}-{way.replace(',', '').replace(' ', '-')}-{seed}"


def _without_milestones(finetune: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in finetune.items() if key != "milestones"}


def measure(
    where: Path, models: Sequence[str], percentiles: Sequence[float], seeds: int, ways: Sequence[str], iterations: int | None
) -> dict[str, Any]:
    """All rows; ``where`` keeps what was made."""
    settings = read_yaml("params.yaml")
    settings |= {"dataset": "walkers", "models": list(models)}
    settings["modalities"] = sorted({settings["model"][model]["modality"] for model in models})
    work = Work(where, settings)
    rows = []
    for model in models:
        recovery = Recovery(work, model, iterations)
        taken = [name for name in ways if recovery.takes(WAYS[name])]
        for percentile in percentiles:
            rows += recovery.rows(percentile, range(1, seeds + 1), taken)
    return {
        "benchmark": "recovery",
        "data": "synthetic",
        **{key: settings["datasets"]["walkers"][key] for key in ("difficulty", "noise")},
        "reference": REFERENCE,
        "rows": rows,
    }


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    print(f"model      percentile  {'way':49} rank-1   {'loss, 95 %':22} over reference")
    for row in sorted(rows, key=lambda row: (row["model"], row["percentile"], -row["rank1"])):
        loss, difference = (_interval(row[name]) for name in ("loss", "difference"))
        print(f"{row['model']:10} {row['percentile']:10g}  {row['way']:49} {row['rank1']:6.1f}   {loss:22} {difference}")


def _interval(value: Mapping[str, Any]) -> str:
    return f"{value['mean']:5.1f} ({value['interval'][0]:.1f} to {value['interval'][1]:.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["gaitset"], help="entries of `model` (default: gaitset)")
    parser.add_argument("--percentiles", nargs="+", type=float, default=list(PERCENTILES), help="default: 60")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"default: {SEEDS}")
    parser.add_argument(
        "--ways", nargs="+", choices=WAYS, default=list(WAYS), help="default: all; the reference is always in"
    )
    parser.add_argument("--iterations", type=int, help="of fine-tuning PyTorch models (default: params.yaml's)")
    parser.add_argument("--work", type=Path, help="folder that keeps what was made (default: a temporary one)")
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    options = parser.parse_args()
    ways = list(dict.fromkeys([REFERENCE, *options.ways]))
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        where = options.work or Path(scratch)
        result = measure(where, options.models, options.percentiles, options.seeds, ways, options.iterations)
    if not options.json:
        print_table(result["rows"])
    print(json.dumps({**result, "minutes": round((time.perf_counter() - started) / 60, 1)}))


if __name__ == "__main__":
    main()
