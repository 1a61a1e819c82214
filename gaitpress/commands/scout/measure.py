"""Prune a network with fresh weights at many percentiles, and time each resulting shape on a device."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from compress import export
from compress.errors import CompressionError
from compress.pruning.select import PruneSettings
from gaitpress import outputs, params
from gaitpress.commands import describe
from gaitpress.frameworks import framework
from gaitpress.params.benchmark import Benchmark
from gaitpress.progress import progress
from remote import facts, inventory, runtimes
from remote.errors import EngineFailed
from remote.runtimes import Runtime, runtime_on
from stages.benchmark import protocol_of
from stages.export import write_onnx
from stages.prune import prune_settings, surgery

PRECISION = "fp32"  # int8 needs activations of a trained network
DONE = "turns.jsonl"


@dataclass(frozen=True)
class Bench:
    """A device whose facts still hold, and the runtime that runs networks there."""

    device: inventory.Device
    runtime: Runtime
    facts: Mapping[str, Any]

    @classmethod
    @contextmanager
    def find(cls, name: str, devices: Path, recorded: Path) -> Iterator[Bench]:
        """Open the device of an entry of devices.yaml, which no other process uses in this context.

        Raises:
            DeviceError: devices.yaml has no such entry, or the facts file ``recorded`` is missing or no longer holds.
        """
        device = inventory.find(devices, name)
        recorded_facts = facts.read(recorded, name)
        with runtime_on(device, "scouting") as runtime:
            now = runtime.facts()
            facts.check(name, recorded_facts, now)
            yield cls(device, runtime, now)


@dataclass
class Shape:
    """A network after pruning, and how long it takes."""

    key: str
    filters: int
    reason: str | None = None  # why there is no time
    network: dict[str, Any] = field(default_factory=dict)  # params, macs, benchmark_shape, onnx_bytes, engine_bytes
    turns: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Scouted:
    """The shapes of a model by percentile, of which several may share one. ``refused``: why the others cannot be pruned."""

    shapes: dict[int | float, Shape]
    refused: dict[int | float, str]


@contextmanager
def scout(
    model: str, percentiles: Sequence[int | float], bench: Bench, settings: params.Params, path: Path
) -> Iterator[Scouted]:
    """Measure a model; it takes over the turns of an interrupted run, which are beside ``path``.

    The caller writes ``path`` within this context, which throws the turns away only when that is done.
    """
    with outputs.begun(path, _key(model, bench, settings)) as kept:
        scouted = _prepare(model, percentiles, bench, settings, kept)
        shapes = list({shape.key: shape for shape in scouted.shapes.values()}.values())
        _measure(f"{model} on {bench.device.name}", shapes, bench, settings.benchmark, kept)
        yield scouted


def _key(model: str, bench: Bench, settings: params.Params) -> str:
    """A hash of all that a time depends on but the shape itself."""
    parts = {
        "model": [model, settings.entry(model).model_dump(mode="json")],
        "prune": settings.prune.model_dump(mode="json", exclude={"percentiles"}),
        "export": settings.export.model_dump(mode="json"),
        "benchmark": settings.benchmark.model_dump(mode="json", exclude={"sweep"}),
        "threads": settings.threads.build,
        "device": [bench.device.name, bench.device.runtime, dict(bench.device.options), dict(bench.facts)],
    }
    return _digest(parts)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _prepare(model: str, percentiles: Sequence[int | float], bench: Bench, settings: params.Params, kept: Path) -> Scouted:
    """Prune at every percentile, and export and build every new shape."""
    entry = settings.entry(model).phases()[-1]  # the phase that is deployed
    library = framework(entry.framework)
    library.use_threads(1)
    dense = library.build(model, entry, describe.classes(settings))
    cuts = surgery(entry.framework)
    scouted, shapes = Scouted({}, {}), dict[str, Shape]()
    for percentile in progress(percentiles, len(percentiles), f"{model}: pruning and building"):
        try:
            pruned, selections = cuts.prune(dense, _of_weights(prune_settings(settings.prune, percentile, entry.seed)))
        except CompressionError as error:
            scouted.refused[percentile] = str(error)
            continue
        key = _digest({name: len(chosen.kept) for name, chosen in selections.items()})[:16]
        if key not in shapes:
            filters = sum(len(chosen.kept) * len(chosen.units) for chosen in selections.values())
            shape = shapes[key] = Shape(key, filters)
            try:
                shape.network = _built(library, pruned, entry, bench, settings, kept / key)
            except (CompressionError, EngineFailed) as error:
                shape.reason = str(error)
        scouted.shapes[percentile] = shapes[key]
    return scouted


def _of_weights(settings: PruneSettings) -> PruneSettings:
    """The settings with a criterion that fresh weights suffice for; under the scope "layer" all leave the same shapes."""
    return replace(settings, criterion="mean-l1") if settings.measures else settings


def _built(library: Any, pruned: Any, entry: Any, bench: Bench, settings: params.Params, folder: Path) -> dict[str, Any]:
    """Export and build a network into ``folder``, unless an interrupted run did."""
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


def _measure(label: str, shapes: Sequence[Shape], bench: Bench, settings: Benchmark, kept: Path) -> None:
    """Time all shapes by turns, each turn in random order, so that a machine that slows down or warms up makes no tread.

    A turn is the same as a repeat of a benchmark record: a process of its own.
    """
    by_key = {shape.key: shape for shape in shapes}
    for done in _remembered(kept / DONE):
        if done["shape"] in by_key:
            by_key[done["shape"]].turns.append(done)
    one_turn = replace(
        protocol_of(settings), sweep=(), repeats=1, min_queries=math.ceil(settings.min_queries / settings.repeats)
    )
    rng = np.random.default_rng(settings.session)
    order = [(turn, shapes[place]) for turn in range(settings.repeats) for place in rng.permutation(len(shapes))]
    remaining = [(turn, shape) for turn, shape in order if not any(done["turn"] == turn for done in shape.turns)]
    for turn, shape in progress(remaining, len(remaining), f"{label}: measuring"):
        if shape.reason is not None:
            continue
        example_shape = [settings.batch, *shape.network["benchmark_shape"][1:]]
        example = np.random.default_rng(0).random(example_shape, np.float32)
        try:
            timing = bench.runtime.benchmark(kept / shape.key, example, one_turn)
        except EngineFailed as error:
            shape.reason = str(error)
            continue
        measured = {
            "shape": shape.key,
            "turn": turn,
            **{name: timing.latency_ms[name] for name in ("p50", "p50_low", "p50_high", "mean", "cov", "queries")},
            "repeat": dict(timing.repeats[0]),
            "conditions": dict(timing.conditions),
            "timed": {name: timing.protocol[name] for name in ("timed", "transfers") if name in timing.protocol},
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        shape.turns.append(measured)
        with (kept / DONE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(measured) + "\n")


def _remembered(path: Path) -> list[dict[str, Any]]:
    """The turns of an interrupted run; it drops an unfinished line, from the file too."""
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
    """How the times were measured, for the file of results."""
    return {
        **asdict(protocol_of(settings)),
        "precision": PRECISION,
        "weights": "fresh: not trained",
        "input": "random, uniform in 0..1, the same for all shapes",
        "order": "by turns, one process each (repeats of them), in an order by chance that is another in each turn",
    }
