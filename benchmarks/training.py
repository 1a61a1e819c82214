"""How fast GaitSet trains here, beside a plain loop with the same maths.

Published width, P x K = 8 x 4, 30 frames, on frames made at random; on a GPU, 8 x 16. The plain loop is what one writes
first: channels-first maps in float32, frames converted in the loop. Each runs in a process of its own, by turns; the median
iteration counts. The first losses of both must agree where both compute in float32.

``limit_ratio`` is the time that the multiply-adds must take (three times those of an inference, since each layer also has
two gradients) at the rate of this machine's float32 matrix products, by the time of an iteration. ``data_fraction`` is the
share of an iteration that the training waits for its batch, told by PyTorch's profiler.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gait.data.sequences import SequenceStore, StoreWriter
from gait.losses import triplet
from gait.models import gaitset, torch_model
from gait.training import torch_loop
from gait.training.batches import Sampling, SilhouetteBatches
from gait.training.precision import bfloat16_is_native
from gait.training.processes import Processes

PEOPLE, WALKS, LENGTH, FRAMES = 16, 6, 60, 30
SETTINGS = {"channels": [32, 64, 128], "embedding": 256, "bins": [16, 8, 4, 2, 1]}
UNITS = ("frame1", "frame2", "frame3", "frame4", "frame5", "frame6", "global1", "global2", "global3", "global4")
LR, MOMENTUM = 0.01, 0.9
SIDE = 2048  # of the matrices
TURNS = 3
WORKERS = 1


class Plain(nn.Module):
    """GaitSet as one writes it first, with the weights of ours."""

    def __init__(self, model: gaitset.GaitSet) -> None:
        super().__init__()
        self.bins = model.bins
        for name in UNITS:
            kernels = model.get_parameter(f"{name}.conv.weight").detach().clone()
            conv = nn.Conv2d(kernels.shape[1], kernels.shape[0], kernels.shape[2], padding="same", bias=False)
            conv.weight = nn.Parameter(kernels)
            self.add_module(name, conv)
        self.fc = nn.Parameter(model.fc.weight.detach().clone())

    def forward(self, frames: Tensor) -> Tensor:
        n, t = frames.shape[:2]

        def unit(name: str, maps: Tensor) -> Tensor:
            return F.leaky_relu(self.get_submodule(name)(maps), 0.01)

        def over_set(maps: Tensor) -> Tensor:
            return maps.view(n, t, *maps.shape[1:]).max(1)[0]

        def pyramid(maps: Tensor) -> Tensor:
            flat = [maps.view(n, maps.shape[1], strips, -1) for strips in self.bins]
            return torch.cat([strips.mean(-1) + strips.max(-1)[0] for strips in flat], -1)

        maps = F.max_pool2d(unit("frame2", unit("frame1", frames.view(-1, 1, *frames.shape[2:]))), 2)
        whole = F.max_pool2d(unit("global2", unit("global1", over_set(maps))), 2)
        maps = F.max_pool2d(unit("frame4", unit("frame3", maps)), 2)
        whole = unit("global4", unit("global3", whole + over_set(maps)))
        maps = over_set(unit("frame6", unit("frame5", maps)))
        parts = torch.cat([pyramid(maps), pyramid(whole + maps)], -1)
        return torch.matmul(parts.permute(2, 0, 1), self.fc).permute(1, 0, 2)


def made_store(directory: Path) -> SequenceStore:
    rng = np.random.default_rng(0)
    writer = StoreWriter(directory, (64, 64), "uint8")
    for person in range(PEOPLE):
        for walk in range(WALKS):
            frames = 255 * (rng.random((LENGTH, 8, 8)) < 0.4).astype(np.uint8)
            writer.add(f"{person:03d}", f"nm-{walk:02d}", "090", frames.repeat(8, 1).repeat(8, 2))
    facts: dict[str, Any] = {"identities": [], "split": {}, "settings": {"kind": "silhouette", "size": 64}}
    writer.close(modality="silhouette", dataset="made", evidence="synthetic", fps=25, **facts)
    return SequenceStore.open(directory)


def network() -> gaitset.GaitSet:
    torch.manual_seed(0)
    return gaitset.build(SETTINGS, 1, PEOPLE)


def sampling(device: torch.device) -> Sampling:
    sequences = 16 if device.type == "cuda" else 4
    return Sampling(8, sequences, FRAMES, "unordered", 0, augment=[], seed=0)


class Times:
    """Told by the loop of each iteration, it notes when that was."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.losses: list[float] = []

    def step(self, done: int, total: int) -> None: ...

    def row(self, number: int, values: Mapping[str, float]) -> None:
        self.at.append(time.perf_counter())
        self.losses.append(values["loss"])


def ours(store: SequenceStore, iterations: int) -> Times:
    times, processes = Times(), Processes()
    training = torch_loop.TorchTraining(
        iterations=iterations, milestones=[], gamma=1, lr=LR, optimizer="sgd", momentum=MOMENTUM, weight_decay=0.0,
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
        frames, identities = batches[iteration]
        found = model((frames.float() / 255).to(processes.device))
        loss, _ = triplet.compute(found, None, identities.to(processes.device))
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


def products_per_s() -> float:
    """Multiply-adds a second of a float32 matrix product."""
    device = Processes().device
    matrix = torch.rand(SIDE, SIDE, device=device)
    best = float("inf")
    for _ in range(4):
        start = time.perf_counter()
        (matrix @ matrix)[0, 0].item()
        best = min(best, time.perf_counter() - start)
    return SIDE**3 / best


def one(what: str, directory: Path, iterations: int, threads: int) -> dict[str, Any]:
    """A measurement, in this process."""
    torch.set_num_threads(threads)
    store = SequenceStore.open(directory)
    if what == "limit":
        macs = sum(layer["macs"] for layer in torch_model.layers(network(), FRAMES))
        drawn = sampling(Processes().device)
        return {"limit_s": 3 * macs * drawn.identities * drawn.sequences / products_per_s()}
    if what == "profile":
        return profiled(store, iterations)
    times = {"ours": ours, "plain": plain}[what](store, iterations)
    return {"seconds": np.diff(times.at).tolist(), "losses": times.losses}


def measured(iterations: int, threads: int) -> dict[str, Any]:
    """All measurements, each in a process of its own."""
    with tempfile.TemporaryDirectory() as directory:
        made_store(Path(directory))

        def run(what: str) -> dict[str, Any]:
            command = [sys.executable, "-m", "benchmarks.training", "--one", what, directory]
            command += ["--iterations", str(iterations), "--threads", str(threads)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                sys.exit(f"error: {' '.join(command)} failed\n{done.stderr}")
            return json.loads(done.stdout.splitlines()[-1])

        found: dict[str, list[dict[str, Any]]] = {"ours": [], "plain": [], "limit": []}
        for _ in range(TURNS):
            for what, runs in found.items():
                runs.append(run(what))
        profile = run("profile")
    seconds = {what: statistics.median(s for each in found[what] for s in each["seconds"]) for what in ("ours", "plain")}
    losses = [np.array(found[what][0]["losses"]) for what in ("ours", "plain")]
    device = Processes().device
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    return {
        "device": name,
        "threads": threads,
        "precision": str(torch_loop.mixed_type(device) or torch.float32).removeprefix("torch."),
        "iterations_per_s": round(1 / seconds["ours"], 4),
        "plain_iterations_per_s": round(1 / seconds["plain"], 4),
        "speedup": round(seconds["plain"] / seconds["ours"], 2),
        "limit_ratio": round(min(each["limit_s"] for each in found["limit"]) / seconds["ours"], 2),
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
