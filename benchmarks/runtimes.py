"""Which runtime is the fastest on this processor, for networks of the published width with fresh weights.

ONNX Runtime and OpenVINO in all precisions, and the framework's own module (PyTorch, TensorFlow), on this processor, with
batch 1 and one thread. The inputs are walkers. All engines of a network are timed in one run, by turns in a random order.

`best_over_onnxruntime` is the time of ONNX Runtime in fp32 divided by that of the chosen engine: the fastest whose
signatures are no more than --max-error off those of fp32, as a share of the greatest value. It is at least 1, for ONNX
Runtime in fp32 may be chosen as well. What a precision costs in rank-1 needs trained weights:
`python -m benchmarks.compression`.

`--work` keeps what was made, so that an interrupted benchmark goes on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import turns
from benchmarks.common.turns import FULL, PRECISIONS
from benchmarks.common.work import Work
from gait.data.samples import samples
from gaitpress import inputs, outputs, params, recipes
from gaitpress.frameworks import framework
from workflow.dvc.stages import read_yaml

RECIPE = "casia-b"  # whose models have the published width
MODELS, PERCENTILES = ("gaitset", "gaitbase", "cnn2d", "cnn3d"), (0, 60)
CLASSES = 74
ROUNDS, COMPARED = 5, 8  # turns of timing, and inputs on which signatures are compared
WALKERS = {"subjects": 36, "views": ["054", "090"]}
SECONDS = 1.0  # of a turn of the framework's module


def settings(models: Sequence[str]) -> dict[str, Any]:
    """params.yaml with these models of the published width, and no more data than calibration takes."""
    chosen = read_yaml("params.yaml")
    published = recipes.load(RECIPE).model_dump(mode="json")["model"]
    sampling = {name: {"sampling": entry["sampling"]} for name, entry in chosen["model"].items() if "sampling" in entry}
    modalities = {published[name]["modality"] for name in models}
    chosen |= {"models": list(models), "dataset": "walkers", "modalities": sorted(modalities)}
    chosen["model"] = {name: {**published[name], **sampling.get(name, {})} for name in models}
    chosen["finetune"] = {name: chosen["finetune"][name] for name in models}
    chosen["datasets"]["walkers"] |= WALKERS
    chosen["prune"] |= {"criterion": "mean-l1", "reconstruct": False}
    return chosen


class Model:
    """A model with fresh weights in a folder of work, and its pruned networks."""

    def __init__(self, name: str, work: Work) -> None:
        self.name, self.work, self.params = name, work, work.params("data")
        work.prepare(name)
        self.entry = params.load(self.params).entry(name).phases()[-1]
        self.framework = framework(self.entry.framework)
        self.training_set, self.store = inputs.open_training(
            work.where / f"training/{name}.json", work.where / "preprocessed"
        )
        data = inputs.facts(self.training_set, self.store)
        self.fresh = work.fresh(name, self.params, CLASSES, data=data, model={}, origin={})

    def pruned(self, percentile: int) -> Path:
        words = ["--model", self.name, "--percentile", str(percentile), "--dense", str(self.fresh)]
        return self.work.stage("prune", f"prune/{self.name}/p{percentile}", self.params, *words)

    def quantized(self, percentile: int, precision: str) -> Path:
        """The files of a network in a precision."""
        words = ["--model", self.name, "--percentile", str(percentile), *self.work.training(self.name)]
        finetuned = ["--finetuned", str(self.pruned(percentile))]
        exported = self.work.stage("export", f"export/{self.name}/p{percentile}", self.params, *words, *finetuned)
        words += ["--precision", precision, "--exported", str(exported)]
        return self.work.stage("quantize", f"quantize/{self.name}/p{percentile}-{precision}", self.params, *words)

    def samples(self) -> list[np.ndarray]:
        """Inputs of the shape that latency is measured at, from the training sequences."""
        shape = self.framework.benchmark_shape(self.framework.load(self.fresh), self.entry)
        train = self.training_set.train
        chosen = train[:: max(1, len(train) // COMPARED)][:COMPARED]
        return [samples(self.store, self.store.sequences[position], shape)[0] for position in chosen]

    def module(self, percentile: int, sample: np.ndarray) -> Callable[[], Any]:
        """A run of the network in its framework."""
        self.framework.use_threads(1)
        model = self.framework.load(self.pruned(percentile))
        return lambda: self.framework.outputs(model, [sample])


def rows(model: Model, percentile: int) -> dict[str, Any]:
    """All times of a network in ms, with the signatures' errors, and the chosen engine's."""
    given = model.samples()
    with turns.opened("benchmarks.runtimes") as runtimes:
        engines = {}
        for runtime, precisions in PRECISIONS.items():
            for precision in precisions:
                name = f"{runtime} {precision}"
                out = model.work.where / f"engines/{model.name}/p{percentile}/{runtime}-{precision}"
                if engine := turns.built(runtimes[runtime], model.quantized(percentile, precision), precision, out):
                    engines[name] = engine
        signatures = {name: np.concatenate(engine.runtime.run(engine.folder, given, 1)) for name, engine in engines.items()}
        times = turns.by_turns(engines, given[0], ROUNDS)
        module = module_ms(model.module(percentile, given[0]))
    exact = signatures[f"{FULL} fp32"]
    return {
        "model": model.name,
        "percentile": percentile,
        "module_ms": module,
        "engines": [
            {
                "engine": name,
                "ms": round(float(np.median(times[name])), 3),
                "times_faster": turns.faster(times, name, f"{FULL} fp32")[0],
                "range": turns.faster(times, name, f"{FULL} fp32")[1],
                "signature_error": float(f"{np.abs(signatures[name] - exact).max() / np.abs(exact).max():.3g}"),
            }
            for name in engines
        ],
    }


def module_ms(run: Callable[[], Any]) -> float:
    """The median time of a run in ms."""
    run()
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - start))
    return round(float(np.median(times)), 3)


def chosen(row: dict[str, Any], max_error: float) -> dict[str, Any]:
    """The fastest engine whose signatures are right enough."""
    right = (engine for engine in row["engines"] if engine["signature_error"] <= max_error)
    best: dict[str, Any] = max(right, key=lambda engine: engine["times_faster"])
    return best


def measure(where: Path, models: Sequence[str], percentiles: Sequence[int], max_error: float) -> dict[str, Any]:
    """All figures; ``where`` keeps what was made."""
    work = Work(where, settings(models))
    networks = []
    for name in models:
        model = Model(name, work)
        for percentile in percentiles:
            file = where / f"measured/{name}-p{percentile}.json"
            if not file.exists():
                outputs.write_json(file, rows(model, percentile))
            row = outputs.read_json(file)
            best = chosen(row, max_error)
            networks.append({**row, "best": best["engine"], "best_over_onnxruntime": best["times_faster"]})
    return {"benchmark": "runtimes", "evidence": "host", "max_error": max_error, "networks": networks}


def print_table(result: dict[str, Any]) -> None:
    print("network          engine              times faster (range)          ms   signature error")
    for row in result["networks"]:
        name = f"{row['model']} p{row['percentile']}"
        for engine in row["engines"]:
            ratio = f"{engine['times_faster']:6.2f} ({engine['range'][0]:.2f} to {engine['range'][1]:.2f})"
            mark = "  *" if engine["engine"] == row["best"] else ""
            print(f"{name:16} {engine['engine']:19} {ratio:24} {engine['ms']:9.2f}   {engine['signature_error']:.2g}{mark}")
            name = ""
        print(f"{name:16} {'framework':19} {'':24} {row['module_ms']:9.2f}")
    print(f"* the fastest whose signatures are at most {result['max_error']:g} of the greatest value off those of fp32")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS), help=f"default: {' '.join(MODELS)}")
    parser.add_argument("--percentiles", nargs="+", type=int, default=list(PERCENTILES), help="default: 0 60")
    parser.add_argument("--max-error", type=float, default=0.05, help="of the chosen engine (default: 0.05)")
    parser.add_argument("--work", type=Path, help="folder that keeps what was made (default: a temporary one)")
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        result = measure(options.work or Path(scratch), options.models, options.percentiles, options.max_error)
    if not options.json:
        print_table(result)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
