"""The timed part of trtexec."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from simulator.engine import Engine, Refused
from simulator.jetson import Jetson

Say = Callable[..., None]
Query = dict[str, float]


def infer(board: Jetson, content: bytes, settings: dict[str, str], shapes: dict[str, list[int]], say: Say) -> None:
    """Load an engine, run it, print the summary and write the files that the settings name."""
    engine = Engine(board.kind, content)
    say(f"Loaded engine size: {len(content) >> 20} MiB")
    values = _values(engine, settings, shapes)
    say(f"Created input binding for {engine.input} with dimensions {_dimensions(values)}")
    output = engine.run(values)
    say(f"Created output binding for {engine.output} with dimensions {_dimensions(output)}")
    version = board.kind.tensorrt
    say("Starting inference threads" if version < (8, 0) else "Starting inference")
    warmup_ms = float(settings.get("warmUp", 200))
    board.load(busy=True)
    try:
        queries = _run(engine, values, warmup_ms, settings, _copies(version, settings))
    finally:
        board.load(busy=False)
    timed = [query for query in queries if query["startComputeMs"] >= warmup_ms]
    wall = (timed[-1]["endD2hMs"] - timed[0]["startH2dMs"]) / 1000
    if version < (8, 0):
        _summary_of_7(timed, wall, warmup_ms, say)
    else:
        say(f"Warmup completed {len(queries) - len(timed)} queries over {warmup_ms:g} ms")
        say(f"Timing trace has {len(timed)} queries over {wall:g} s")
        say("=== Performance summary ===")
        say(f"Throughput: {len(timed) / wall:g} qps")
        for name, key in (("Latency", "latencyMs"), ("Enqueue Time", "enqueue"), ("H2D Latency", "h2dMs")):
            say(f"{name}: {_statistics([query[key] for query in timed], version >= (8, 5))}")
        for name, key in (("GPU Compute Time", "computeMs"), ("D2H Latency", "d2hMs")):
            say(f"{name}: {_statistics([query[key] for query in timed], version >= (8, 5))}")
        say(f"Total Host Walltime: {wall:g} s")
    if "exportTimes" in settings:
        rows = timed if version >= (8, 5) else queries
        rows = [{key: value for key, value in row.items() if key != "enqueue"} for row in rows]
        if version < (8, 0):
            rows = [_row_of_7(row) for row in rows]
        Path(settings["exportTimes"]).write_text("[\n  " + "\n, ".join(map(json.dumps, rows)) + "\n]\n")
    if "exportProfile" in settings:
        layers = engine.layers(values)
        whole = sum(sum(times) for times in layers.values())
        lines = [f'[\n  {{ "count" : {len(queries)} }}']
        for name, times in layers.items():
            row = {"name": name, "timeMs": sum(times), "averageMs": float(np.mean(times))}
            row |= {"medianMs": float(np.median(times))} if version >= (8, 0) else {}
            lines.append(json.dumps(row | {"percentage": 100 * sum(times) / whole}))
        Path(settings["exportProfile"]).write_text("\n, ".join(lines) + "\n]\n")
    if "exportOutput" in settings:
        numbers = ", ".join(f"{value:g}" for value in output.ravel().tolist())
        head = f'[\n  {{ "name" : "{engine.output}"\n  , "dimensions" : "{_dimensions(output)}"\n  , "values" : [ '
        Path(settings["exportOutput"]).write_text(f"{head}{numbers} ]\n  }}\n]\n")


def _copies(version: tuple[int, int, int], settings: dict[str, str]) -> bool:
    """Whether every query copies its data: always in 7.1, only with includeDataTransfers in 11."""
    return "includeDataTransfers" in settings if version >= (11, 0) else "noDataTransfers" not in settings


def _summary_of_7(timed: list[Query], wall: float, warmup_ms: float, say: Say) -> None:
    """Print a line for each statistic; TensorRT 7 counts no query of an ONNX network."""
    say(f"Warmup completed 0 queries over {warmup_ms:g} ms")
    say(f"Timing trace has 0 queries over {wall:g} s")
    say("Trace averages of 100 runs:")
    for name, key in (("Host Latency", "latencyMs"), ("Enqueue Time", "enqueue"), ("GPU Compute", "computeMs")):
        say(name)
        times = sorted(query[key] for query in timed)
        last = times[len(times) - 1 - int(0.01 * len(times))]
        figures = {"min": times[0], "max": times[-1], "mean": np.mean(times), "median": np.median(times)}
        for figure, value in figures.items():
            end = f" (end to end {value:g} ms)" if name == "Host Latency" else ""
            if name != "Enqueue Time" or figure != "mean":
                say(f"{figure}: {value:g} ms{end}")
        if name == "Host Latency":
            say(f"percentile: {last:g} ms at 99% (end to end {last:g} ms at 99%)")
            say("throughput: 0 qps")
            say(f"walltime: {wall:g} s")
        elif name == "GPU Compute":
            say(f"percentile: {last:g} ms at 99%")
            say(f"total compute time: {sum(times) / 1000:g} s")


def _row_of_7(row: Query) -> Query:
    return {
        "startEnqMs": row["startComputeMs"], "endEnqMs": row["startComputeMs"], "startInMs": row["startH2dMs"],
        "endInMs": row["endH2dMs"], "startComputeMs": row["startComputeMs"], "endComputeMs": row["endComputeMs"],
        "startOutMs": row["startD2hMs"], "endOutMs": row["endD2hMs"], "inMs": row["h2dMs"], "computeMs": row["computeMs"],
        "outMs": row["d2hMs"], "latencyMs": row["latencyMs"], "endToEndMs": row["endD2hMs"] - row["startH2dMs"],
    }  # fmt: skip


def _run(engine: Engine, values: np.ndarray, warmup_ms: float, settings: dict[str, str], copies: bool) -> list[Query]:
    duration_ms, least = 1000 * float(settings.get("duration", 3)), int(settings.get("iterations", 10))
    queries: list[Query] = []
    start = time.perf_counter()
    timed = 0
    while True:
        moments = [1000 * (time.perf_counter() - start)]
        on_device = values.copy() if copies else values
        moments.append(1000 * (time.perf_counter() - start) if copies else moments[-1])
        output = engine.run(on_device)
        moments.append(1000 * (time.perf_counter() - start))
        if copies:
            output.copy()
            moments.append(1000 * (time.perf_counter() - start))
        else:
            moments.append(moments[-1])
        queries.append(_query(moments))
        timed += moments[1] >= warmup_ms
        if timed >= least and moments[3] >= warmup_ms + duration_ms:
            return queries


def _query(moments: Sequence[float]) -> Query:
    began, fed, computed, ended = moments
    return {
        "startH2dMs": began, "endH2dMs": fed, "startComputeMs": fed, "endComputeMs": computed, "startD2hMs": computed,
        "endD2hMs": ended, "h2dMs": fed - began, "computeMs": computed - fed, "d2hMs": ended - computed,
        "latencyMs": ended - began, "enqueue": (computed - fed) / 10,
    }  # fmt: skip


def _values(engine: Engine, settings: dict[str, str], shapes: dict[str, list[int]]) -> np.ndarray:
    axes = engine.head["inputs"][engine.input]
    shape = shapes.get(engine.input) or (engine.head["ranges"]["opt"][engine.input] if engine.head["ranges"] else axes)
    if not engine.fits(shape):
        raise Refused(
            f"[TRT] 3: [executionContext.cpp] Error Code 3: API Usage Error (dimensions {shape} are not in the profile)"
        )
    if "loadInputs" not in settings:
        return np.random.default_rng(0).random(shape, np.float32)
    name, _, file = settings["loadInputs"].partition(":")
    content = Path(file).read_bytes()
    if name.strip("'") != engine.input or len(content) != 4 * int(np.prod(shape)):
        raise Refused(f"Cannot fill the input {name} of {4 * int(np.prod(shape))} bytes with {len(content)}")
    return np.frombuffer(content, np.float32).reshape(shape)


def _dimensions(values: np.ndarray) -> str:
    return "x".join(map(str, values.shape))


def _statistics(times: Sequence[float], new: bool) -> str:
    """Minimum to percentiles of times in ms; the p-th percentile is element n - 1 - int((1 - p) n) of the sorted times."""
    ordered = sorted(times)
    percentiles = (90, 95, 99) if new else (99,)
    parts = [f"min = {ordered[0]:g} ms", f"max = {ordered[-1]:g} ms", f"mean = {np.mean(times):g} ms"]
    parts.append(f"median = {np.median(times):g} ms")
    parts += [
        f"percentile({percent}%) = {ordered[len(ordered) - 1 - int((100 - percent) / 100 * len(ordered))]:g} ms"
        for percent in percentiles
    ]
    return ", ".join(parts)
