"""How fast GaitSet trains here, beside a plain loop with the same maths.

Published width, P x K = 8 x 4, 30 frames, on frames made at random; on a GPU, 8 x 16. The plain loop is what one writes
first: channels-first maps in float32, frames converted in the loop. Each runs in a process of its own, by turns; the median
iteration counts. The first losses of both must agree where both compute in float32.

``limit_ratio`` is the time that the multiply-adds must take (three times those of an inference, since each layer also has
two gradients) at the rate of this machine's float32 matrix products, divided by the time of an iteration. ``data_fraction``
is the share of an iteration that the training waits for its batch, as PyTorch's profiler measures it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common.measuring import Times, made_store, products_per_s
from benchmarks.common.plain import Plain
from gait.data.prepared.sequences import SequenceStore
from gait.losses import triplet
from gait.models import gaitset
from gait.networks import torch_model
from gait.processes import Processes
from gait.training.precision import bfloat16_is_native
from gait.training.torch import loop as torch_loop
from gait.training.torch.batches import Sampling, SilhouetteBatches

PEOPLE, WALKS, LENGTH, FRAMES = 16, 6, 60, 30
SETTINGS = {"channels": [32, 64, 128], "embedding": 256, "bins": [16, 8, 4, 2, 1]}
LR, MOMENTUM = 0.01, 0.9
TURNS = 3
WORKERS = 1


def network() -> gaitset.GaitSet:
    torch.manual_seed(0)
    return gaitset.build(SETTINGS, 1, PEOPLE)


def sampling(device: torch.device) -> Sampling:
    sequences = 16 if device.type == "cuda" else 4
    return Sampling(8, sequences, FRAMES, "unordered", 0, augment=[], seed=0)


def ours(store: SequenceStore, iterations: int) -> Times:
    times, processes = Times(), Processes()
    training = torch_loop.TorchTraining(
        iterations=iterations, decay="constant", milestones=None, gamma=1, lr=LR, optimizer="sgd", momentum=MOMENTUM,
        weight_decay=0.0,
        clip_norm=None, loss=[{"name": "triplet", "weight": 1, "margin": 0.2}], sampling=sampling(processes.device),
        freeze_batch_norm=False, mixed_precision=True, seed=0,
    )  # fmt: skip
    everyone = range(len(store.sequences))
    torch_loop.fit(network(), store, everyone, training, workers=WORKERS, processes=processes, watcher=times)
    return times


def plain(store: SequenceStore, iterations: int) -> Times:
    times, processes = Times(), Processes()
    model = Plain(network()).to(processes.device)
    optimizer = torch.optim.SGD(model.parameters(), LR, MOMENTUM)
    batches = SilhouetteBatches(store, range(len(store.sequences)), sampling(processes.device), processes)
    for iteration in range(1, iterations + 1):
        frames, identities, _ = batches[iteration]
        signatures, _ = model((frames.float() / 255).to(processes.device))
        loss, _ = triplet.compute(signatures, None, identities)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        times.row(iteration, {"loss": loss.item()})
    return times


def profiled(store: SequenceStore, iterations: int) -> dict[str, float]:
    """Seconds that the project's loop waits for its batches, and seconds in all."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        start = time.perf_counter()
        ours(store, iterations)
        whole = time.perf_counter() - start
    waits = [event for event in profile.key_averages() if "DataLoaderIter.__next__" in event.key]
    return {"wait_s": sum(event.cpu_time_total for event in waits) / 1e6, "whole_s": whole}


def one(what: str, directory: Path, iterations: int, threads: int) -> dict[str, Any]:
    """A measurement, in this process."""
    torch.set_num_threads(threads)
    store = SequenceStore.open(directory)
    if what == "limit":
        macs = sum(layer["macs"] for layer in torch_model.layers(network(), FRAMES))
        drawn = sampling(Processes().device)
        return {"limit_s": 3 * macs * drawn.identities * drawn.sequences / products_per_s(Processes().device)}
    if what == "profile":
        return profiled(store, iterations)
    times = {"ours": ours, "plain": plain}[what](store, iterations)
    return {"seconds": np.diff(times.at).tolist(), "losses": times.losses}


def measured(iterations: int, threads: int) -> dict[str, Any]:
    """All measurements, each in a process of its own."""
    with tempfile.TemporaryDirectory() as directory:
        made_store(Path(directory), PEOPLE, WALKS, LENGTH)

        def run(what: str) -> dict[str, Any]:
            command = [sys.executable, "-m", "benchmarks.training", "--one", what, directory]
            command += ["--iterations", str(iterations), "--threads", str(threads)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"error: {' '.join(command)} failed\n{done.stderr}")
            return json.loads(done.stdout.splitlines()[-1])

        results: dict[str, list[dict[str, Any]]] = {"ours": [], "plain": [], "limit": []}
        for _ in range(TURNS):
            for what, runs in results.items():
                runs.append(run(what))
        profile = run("profile")
    seconds = {what: statistics.median(s for turn in results[what] for s in turn["seconds"]) for what in ("ours", "plain")}
    losses = [np.array(results[what][0]["losses"]) for what in ("ours", "plain")]
    device = Processes().device
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    return {
        "device": name,
        "threads": threads,
        "precision": str(torch_loop.mixed_type(device) or torch.float32).removeprefix("torch."),
        "iterations_per_s": round(1 / seconds["ours"], 4),
        "plain_iterations_per_s": round(1 / seconds["plain"], 4),
        "speedup": round(seconds["plain"] / seconds["ours"], 2),
        "limit_ratio": round(min(turn["limit_s"] for turn in results["limit"]) / seconds["ours"], 2),
        "data_fraction": round(profile["wait_s"] / profile["whole_s"], 4),
        "first_losses_differ_by": float(f"{np.abs(losses[0] / losses[1] - 1).max():.2g}"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print only the JSON object")
    parser.add_argument("--iterations", type=int, default=5, help="of each run (default: 5)")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch (default: 2)")
    parser.add_argument("--one", nargs=2, metavar=("WHAT", "STORE"), help="one measurement, in this process")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(options.one[0], Path(options.one[1]), options.iterations, options.threads)))
        return
    result = measured(options.iterations, options.threads)
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:24} {value}")
    if result["device"] == "CPU" and not bfloat16_is_native():
        print("This CPU has no bfloat16 of its own, so that both loops compute in float32.")


if __name__ == "__main__":
    main()
