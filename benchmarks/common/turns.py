"""Engines of several runtimes, built from the files of the stage quantize and timed by turns."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gaitpress import outputs
from remote import runtimes
from remote.benchmark import BenchmarkSettings
from remote.errors import EngineFailed
from remote.inventory import Device
from remote.runtimes import Runtime
from stages.build import file_for

# The runtimes of this computer's processor, with the precisions that they are compared in.
PRECISIONS = {"onnxruntime": ("fp32", "int8"), "openvino": ("fp32", "bf16", "int8")}
FULL = "onnxruntime"  # whose dense network in fp32 all others are compared with
ONCE = BenchmarkSettings(batch=1, threads=1, warmup_s=0.5, duration_s=1.0, min_queries=10, repeats=1, max_cov=1.0, session=1)


@dataclass(frozen=True)
class Engine:
    """An engine, the runtime that runs it, and the file that it was built from."""

    runtime: Runtime
    folder: Path
    onnx: Path


@contextmanager
def opened(doing: str) -> Iterator[dict[str, Runtime]]:
    """The runtimes on this computer, by name, which no one else may use meanwhile."""
    with ExitStack() as stack:
        # The machine has one lock, which the first takes for all.
        yield {
            name: stack.enter_context(runtimes.runtime_on(Device("local", runtime=name), doing if name == FULL else None))
            for name in PRECISIONS
        }


def built(runtime: Runtime, quantized: Path, precision: str, out: Path) -> Engine | None:
    """The engine of a network, built unless it is there; None if this processor does not compute in the precision."""
    onnx = quantized / file_for(runtime.facts(), quantized)
    if not out.exists():
        with outputs.new_directory(out) as partial:
            runtime.build(onnx, partial, precision, 1, None)
    description: dict[str, Any] = outputs.read_json(out / "build.json")
    if description["status"] == "skipped":
        return None
    if description["status"] != "ok":
        sys.exit(f"error: {out}: {description['reason']}")
    return Engine(runtime, out, onnx)


def by_turns(engines: Mapping[str, Engine], example: np.ndarray, rounds: int) -> dict[str, list[float]]:
    """The median time of a query in ms, one for each turn.

    Each turn takes the runtimes in another random order, and a runtime all its engines, in one process.
    """
    rng = np.random.default_rng(0)
    times: dict[str, list[float]] = {name: [] for name in engines}
    by_runtime: dict[Runtime, list[str]] = {}
    for name, engine in engines.items():
        by_runtime.setdefault(engine.runtime, []).append(name)
    for turn in range(rounds):
        print(f"{time.strftime('%H:%M:%S')} timing, turn {turn + 1} of {rounds}", file=sys.stderr)
        for place in rng.permutation(len(by_runtime)):
            runtime, names = list(by_runtime.items())[place]
            order = rng.permutation(names)
            with closing(runtime.times([engines[name].folder for name in order], example, ONCE)) as timings:
                for name, timing in zip(order, timings, strict=True):
                    if isinstance(timing, EngineFailed):
                        sys.exit(f"error: {name}: {timing}")
                    times[name].append(timing.latency_ms["p50"])
    return times


def faster(times: Mapping[str, list[float]], name: str, than: str) -> tuple[float, list[float]]:
    """How many times as fast one engine is as another: the median of the turns' ratios, and the least and the greatest."""
    ratios = np.array(times[than]) / np.array(times[name])
    return round(float(np.median(ratios)), 2), [round(float(ratios.min()), 2), round(float(ratios.max()), 2)]
