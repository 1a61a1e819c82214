"""Shapes of a network: exported and built on a device, and timed there by turns."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from compress import export
from gaitpress import outputs, params
from gaitpress.onnx_files import write_onnx
from gaitpress.params.benchmark import Benchmark
from gaitpress.progress import progress
from gaitpress.timing.bench import Bench
from remote import runtimes
from remote.benchmark import BenchmarkSettings, Timing
from remote.errors import EngineFailed

PRECISION = "fp32"  # int8 needs activations of a trained network
TURNS = "turns.jsonl"


@dataclass
class Shape:
    """A network after pruning, and how long it takes."""

    key: str
    filters: int
    reason: str | None = None  # why there is no time
    network: dict[str, Any] = field(default_factory=dict)  # params, macs, benchmark_shape, onnx_bytes, engine_bytes
    turns: list[dict[str, Any]] = field(default_factory=list)


def digest(value: Any) -> str:
    """The sha256 of a value that JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def key_of_times(model: str, bench: Bench, settings: params.Params, benchmark: Mapping[str, Any], **others: Any) -> str:
    """A digest of everything that the times of a model's shapes depend on.

    Args:
        model: entry of `model` in params.yaml.
        bench: the device.
        settings: the whole of params.yaml.
        benchmark: the settings of the measurement that matter.
        others: the settings that choose the shapes.
    """
    parts = {
        "model": [model, settings.entry(model).model_dump(mode="json")],
        "export": settings.export.model_dump(mode="json"),
        "benchmark": dict(benchmark),
        "threads": settings.threads.build,
        "device": [bench.device.name, bench.device.runtime, dict(bench.device.options), dict(bench.facts)],
    }
    return digest(parts | others)


def build(library: Any, pruned: Any, entry: Any, bench: Bench, settings: params.Params, folder: Path) -> dict[str, Any]:
    """Export and build a network into ``folder``, unless an interrupted run did; return its size and costs."""
    if not folder.exists():
        timed = library.benchmark_shape(pruned, entry)
        with outputs.new_directory(folder) as out:
            onnx = out / "model.onnx"
            export_settings = settings.export
            if export_settings.dynamic_frames == "auto" and runtimes.room_of(bench.device.runtime).fixed_axes:
                export_settings = export_settings.model_copy(update={"dynamic_frames": False})
            write_onnx(library, pruned, entry, onnx, export_settings)
            network = {"params": library.parameters(pruned), "macs": export.multiply_adds(onnx, timed)}
            shape = [settings.benchmark.batch, *timed[1:]]
            max_batch = settings.export.max_batch
            built = bench.runtime.build(onnx, out, PRECISION, settings.threads.build, shape, max_batch)
            if built["status"] != "ok":
                raise EngineFailed(built["reason"])
            network |= {"benchmark_shape": timed, "onnx_bytes": built["onnx_bytes"], "engine_bytes": built["bytes"]}
            outputs.write_json(out / "network.json", network)
    return outputs.read_json(folder / "network.json")


def measure(label: str, shapes: Sequence[Shape], bench: Bench, settings: Benchmark, kept: Path, first: int = 0) -> None:
    """Time all shapes by turns, each turn in random order, so that a machine that slows down or warms up favours none.

    A turn of a shape is as a repeat of a benchmark record, but all shapes of a turn share a process where the runtime can.

    Args:
        label: what is measured, for messages.
        shapes: the shapes to time; they get the turns, those of an interrupted run among them.
        bench: the device.
        settings: how to measure.
        kept: the folder with the shapes' engines, which also keeps the turns.
        first: the number of the first turn.
    """
    by_key = {shape.key: shape for shape in shapes}
    for former in _former_turns(kept / TURNS):
        if former["shape"] in by_key and former not in by_key[former["shape"]].turns:
            by_key[former["shape"]].turns.append(former)
    queries = math.ceil(settings.min_queries / settings.repeats)
    one_turn = replace(BenchmarkSettings(**settings.model_dump()), sweep=(), repeats=1, min_queries=queries)
    rng = np.random.default_rng((settings.session, first))
    turns = range(first, first + settings.repeats)
    order = [(turn, shapes[place]) for turn in turns for place in rng.permutation(len(shapes))]
    remaining = [(turn, shape) for turn, shape in order if not any(past["turn"] == turn for past in shape.turns)]
    timed = _timed(remaining, bench, kept, one_turn)
    for turn, shape, timing in progress(timed, len(remaining), f"{label}: measuring"):
        if isinstance(timing, EngineFailed):
            shape.reason = str(timing)
            continue
        measured = {
            "shape": shape.key,
            "turn": turn,
            **{name: timing.latency_ms[name] for name in ("p50", "p50_low", "p50_high", "mean", "min", "cov", "queries")},
            "repeat": dict(timing.repeats[0]),
            "conditions": dict(timing.conditions),
            "timed": {name: timing.protocol[name] for name in ("timed", "transfers") if name in timing.protocol},
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        shape.turns.append(measured)
        with (kept / TURNS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(measured) + "\n")


def _timed(
    order: Sequence[tuple[int, Shape]], bench: Bench, kept: Path, settings: BenchmarkSettings
) -> Iterator[tuple[int, Shape, Timing | EngineFailed]]:
    """The times of shapes in this order of turns, without those that failed before."""
    for turn, group in itertools.groupby(order, key=lambda pair: pair[0]):
        shapes = [shape for _, shape in group if shape.reason is None]
        if not shapes:
            continue
        # Shapes of a model differ in their filters, not in their input.
        example_shape = [settings.batch, *shapes[0].network["benchmark_shape"][1:]]
        example = np.random.default_rng(0).random(example_shape, np.float32)
        folders = [kept / shape.key for shape in shapes]
        with closing(bench.runtime.times(folders, example, settings)) as timings:
            yield from ((turn, shape, timing) for shape, timing in zip(shapes, timings, strict=True))


def _former_turns(path: Path) -> list[dict[str, Any]]:
    """The turns of an interrupted run, without an unfinished line, which is removed from the file too."""
    if not path.exists():
        return []
    turns = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            turns.append(json.loads(line))
        except ValueError:
            break
    with outputs.new_file(path) as partial:
        partial.write_text("".join(json.dumps(turn) + "\n" for turn in turns), encoding="utf-8")
    return turns


def protocol(settings: Benchmark) -> dict[str, Any]:
    """How times are measured, for the file of results."""
    return {
        **asdict(BenchmarkSettings(**settings.model_dump())),
        "precision": PRECISION,
        "weights": "fresh: not trained",
        "input": "random, uniform in 0..1, the same for all shapes",
        "order": "by turns (repeats of them), all shapes of a turn in one process if the runtime can, in a random order",
    }
