"""How much faster pruning and int8 make GaitSet or GaitBase of the published width, and what that costs in rank-1.

On the synthetic walkers of params.yaml or harder ones, on this processor, by ONNX Runtime and OpenVINO, batch 1, 30 frames,
one thread. The stages of the pipeline do the work: train once, then for each percentile prune, fine-tune, export and
quantise. All engines are timed in one run, by turns in a random order, and their rank-1 is that of the engine itself.

`latency_ratio` is the time of the dense network in fp32 by ONNX Runtime divided by that of the fastest variant whose mean
rank-1 is at most one point below it, `by_runtime` that of the fastest of each runtime against the same dense network;
`rank1_loss` is what the variant loses. For other selections of filters see `python -m benchmarks.selections`.

`--work` keeps what was made, so that an interrupted benchmark goes on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import turns
from benchmarks.common.turns import FULL, PRECISIONS
from benchmarks.common.work import Work
from gaitpress import outputs
from gaitpress.forms import described
from gaitpress.inputs import open_test, open_training
from stages.benchmark import example_input
from stages.recognise import rates
from workflow.dvc.stages import read_yaml

PERCENTILES = (0, 70, 80, 82, 85)
ROUND_TO = 8  # filters: a processor with AVX2 computes as many at once, so fewer of them would take as long
ALLOWED_LOSS = 1.0  # points of mean rank-1
# Learning rates of the dense networks. Those of fine-tuning are half of them, divided by the share of filters that stay, for
# narrow networks take higher rates.
RATES = {"gaitset": 2e-3, "gaitbase": 0.1}
# Smaller batches than those of params.yaml for networks of whose batches two cores compute few an hour.
SAMPLING = {"gaitbase": {"identities": 8, "sequences": 2, "frames": 6}}
HARDER = {"views": ["054", "090", "126"], "frames": 31}  # walkers of --difficulty
ROUNDS = 9
THREADS = 2  # of training and recognition; latency is that of one
DENSE = f"p0-fp32 {FULL}"
TRAIN, EACH = 0.35, 0.13  # of the training time: the dense model, and each percentile's fine-tuning
FIXED_SHARE = 0.05  # of the time of a dense iteration, however narrow the network: batches and pooling stay


def variants(work: Work, model: str, plan: Mapping[str, Any]) -> dict[str, Path]:
    """The folders of all ONNX files by name, such as p70-int8."""
    settings = work.params("train", **schedules(model, plan["train"], 4, work.settings, 0))
    trained = work.stage("train", "train", settings, "--model", model, *work.training(model))
    networks = {}
    for percentile in PERCENTILES:
        own = schedules(model, plan["train"], plan["finetune"][f"p{percentile}"], work.settings, percentile)
        settings = work.params(f"p{percentile}", **own)
        branch = ["--model", model, "--percentile", str(percentile)]
        pruned = work.stage(
            "prune", f"prune/p{percentile}", settings, *branch, "--dense", str(trained), *work.training(model)
        )
        tuned = work.stage(
            "finetune", f"finetune/p{percentile}", settings, *branch, "--pruned", str(pruned), *work.training(model)
        )
        exported = work.stage(
            "export", f"export/p{percentile}", settings, *branch, "--finetuned", str(tuned), *work.training(model)
        )
        for precision in dict.fromkeys(name for names in PRECISIONS.values() for name in names):
            name = f"p{percentile}-{precision}"
            words = [*branch, "--precision", precision, "--exported", str(exported), *work.training(model)]
            networks[name] = work.stage("quantize", f"quantize/{name}", settings, *words)
    return networks


def measured(work: Work, model: str, networks: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    """Latency by turns, and rank-1 of each engine; kept, for what was measured in one run belongs together."""
    file = work.where / "measured-by-runtime.json"
    if file.exists():
        return outputs.read_json(file)
    training_set, store = open_training(work.where / f"training/{model}.json", work.where / "preprocessed")
    test_set, _ = open_test(work.where / f"test/{model}.json", work.where / "preprocessed")
    signature = outputs.read_json(networks["p0-fp32"] / "signature.json")
    example = example_input(store, training_set, signature, 1)
    rows = {}
    with turns.opened("benchmarks.compression") as runtimes:
        engines = {}
        for name, network in networks.items():
            precision = name.rpartition("-")[2]
            for runtime in (runtime for runtime, precisions in PRECISIONS.items() if precision in precisions):
                out = work.where / f"engines/{runtime}/{name}"
                if engine := turns.built(runtimes[runtime], network, precision, out):
                    engines[f"{name} {runtime}"] = engine
        times = turns.by_turns(engines, example, ROUNDS)
        for name, engine in engines.items():
            signature = described(engine.onnx.parent, engine.onnx.name)
            accuracy = rates(engine.runtime, engine.folder, store, test_set, signature, THREADS)["accuracy"]
            times_faster, times_faster_range = turns.faster(times, name, DENSE)
            rows[name] = {
                "variant": name,
                "runtime": name.rpartition(" ")[2],
                "latency_ms": round(float(np.median(times[name])), 3),
                "times_faster": times_faster,
                "times_faster_range": times_faster_range,
                "mean": accuracy["rank1"]["mean"],
                "interval": accuracy["rank1"]["interval"],
                "macs": signature["macs"],
                "onnx_bytes": engine.onnx.stat().st_size,
            }
    outputs.write_json(file, rows)
    return rows


def best(rows: Mapping[str, Mapping[str, Any]], runtimes: Collection[str] = tuple(PRECISIONS)) -> Mapping[str, Any]:
    """The fastest variant by one of the runtimes that loses no more than is allowed."""
    least = rows[DENSE]["mean"] - ALLOWED_LOSS
    within = (row for row in rows.values() if row["mean"] >= least and row["runtime"] in runtimes)
    return max(within, key=lambda row: row["times_faster"])


def planned(budget_s: float, iteration_s: float) -> dict[str, Any]:
    """Iterations that fit a budget. All fine-tunings take as long, so that narrow networks have more iterations."""

    def within(share: float, percentile: int) -> int:
        seconds = iteration_s * (FIXED_SHARE + (1 - FIXED_SHARE) * (1 - percentile / 100) ** 2)
        return max(4, int(share * budget_s / seconds))

    return {
        "iteration_s": round(iteration_s, 2),
        "train": within(TRAIN, 0),
        "finetune": {f"p{percentile}": within(EACH, percentile) for percentile in PERCENTILES},
    }


def schedules(model: str, iterations: int, finetune: int, settings: Mapping[str, Any], percentile: int) -> dict[str, Any]:
    """The sections ``model`` and ``finetune`` with the model at its published width and these numbers of iterations."""
    entry = {**settings["model"][model], "width": 1}
    entry["schedule"] = {"iterations": iterations, "decay": "cosine"}
    entry["optimizer"] = {**entry["optimizer"], "lr": RATES[model]}
    short = {"iterations": finetune, "decay": "cosine", "lr": RATES[model] / 2 / (1 - percentile / 100)}
    return {"model": {**settings["model"], model: entry}, "finetune": {**settings["finetune"], model: short}}


def iteration_s(model: str, settings: Mapping[str, Any]) -> float:
    """Seconds of an iteration of the dense model here, on a batch made at random; the loss itself costs next to nothing."""
    import torch

    from gait.networks import torch_model

    entry = settings["model"][model]
    network = torch_model.build(model, entry["architecture"], 1, 2)
    torch.set_num_threads(settings["threads"]["train"])
    sampling = entry["sampling"]
    batch = torch.rand(sampling["identities"] * sampling["sequences"], sampling["frames"], *network.frame_shape)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        network(batch).square().mean().backward()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(where: Path, model: str, budget_min: float, difficulty: float | None) -> dict[str, Any]:
    """All figures; ``where`` keeps what was made."""
    settings = read_yaml("params.yaml")
    settings |= {"models": [model], "dataset": "walkers", "modalities": [settings["model"][model]["modality"]]}
    walkers = settings["datasets"]["walkers"]
    settings["model"][model]["sampling"] |= SAMPLING.get(model, {})
    if difficulty is not None:
        walkers |= {**HARDER, "difficulty": difficulty, "noise": difficulty}
    settings["threads"] = {**settings["threads"], "train": THREADS, "finetune": THREADS}
    settings["prune"] = {**settings["prune"], "round_to": ROUND_TO}
    work = Work(where, settings)
    work.prepare(model)
    file = where / "plan.json"
    if not file.exists():
        outputs.write_json(file, planned(60 * budget_min, iteration_s(model, settings)))
    plan = outputs.read_json(file)
    rows = measured(work, model, variants(work, model, plan))
    chosen = best(rows)
    return {
        "benchmark": "compression",
        "model": model,
        "latency_ratio": chosen["times_faster"],
        "rank1_loss": round(rows[DENSE]["mean"] - chosen["mean"], 2),
        "best": chosen["variant"],
        "by_runtime": {runtime: best(rows, (runtime,))["times_faster"] for runtime in PRECISIONS},
        "plan": plan,
        "data": "synthetic",
        **{key: walkers[key] for key in ("difficulty", "noise")},
        "evidence": "host",
        "variants": list(rows.values()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=list(RATES), default="gaitset", help="default: gaitset")
    parser.add_argument("--budget", type=float, default=30, metavar="MIN", help="minutes of training in all (default: 30)")
    parser.add_argument(
        "--difficulty",
        type=float,
        metavar="D",
        help="harder walkers than params.yaml's: fewer frames from views that differ more, of this difficulty and noise, "
        "0 to 1; long trainings recognise nearly all of easy ones, which hides what pruning costs",
    )
    parser.add_argument("--work", type=Path, help="folder that keeps what was made (default: a temporary one)")
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        result = measure(options.work or Path(scratch), options.model, options.budget, options.difficulty)
    if not options.json:
        print_table(result["variants"])
    print(json.dumps(result))


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    print("variant                 times faster      ms   mean rank-1 (95 %)    M multiply-adds     kB")
    for row in sorted(rows, key=lambda row: row["times_faster"]):
        rank1 = f"{row['mean']:5.1f} ({row['interval'][0]:.1f} to {row['interval'][1]:.1f})"
        time_ms = f"{row['times_faster']:13.2f} {row['latency_ms']:7.2f}"
        print(f"{row['variant']:22} {time_ms}   {rank1} {row['macs'] / 1e6:15.1f} {row['onnx_bytes'] / 1e3:10.0f}")


if __name__ == "__main__":
    main()
