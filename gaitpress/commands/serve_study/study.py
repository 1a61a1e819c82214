"""The grid of streams and batches, and its figures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from gaitpress import engine
from gaitpress.errors import StageError
from gaitpress.inputs import open_training
from gaitpress.results import digits
from gaitpress.results.folders import Folders
from gaitpress.results.machines import described
from gaitpress.results.records import Row
from remote.benchmark import Load
from remote.errors import EngineFailed
from remote.python.runtime import PythonRuntime
from stages.benchmark import example_input


@dataclass(frozen=True)
class Asked:
    """How people ask: see :class:`remote.benchmark.Load`."""

    rate: float
    limit_ms: float
    wait_ms: float
    duration_s: float


def doublings(most: int) -> list[int]:
    """1, 2, 4, ... and ``most`` itself."""
    return sorted({1 << power for power in range(most.bit_length()) if 1 << power <= most} | {most})


def inputs(folders: Folders, row: Row, signature: dict[str, Any], batch: int) -> np.ndarray:
    """The inputs of a batch, which are those that latency is measured with."""
    data = folders.results.parent / "data"
    training_set, store = open_training(data / f"training/{row.model}.json", data / "preprocessed")
    return example_input(store, training_set, signature, batch)


def measured(
    of: engine.Engine, example: np.ndarray, asked: Asked, streams: Sequence[int] | None, batches: Sequence[int]
) -> dict[str, Any]:
    """The figures of every cell of the grid, each with what the device's server answers.

    Raises:
        StageError: the device's runtime cannot serve several streams.
    """
    cells: list[dict[str, Any]] = []
    with of.connected("the study of people served") as (runtime, facts):
        if not isinstance(runtime, PythonRuntime):
            raise StageError(
                f"{of.variant.device}: {facts['runtime']} serves no streams; take an entry with onnxruntime or openvino"
            )
        of.check(runtime)
        cores = facts["cores"]
        streams = streams or doublings(cores)
        for count in streams:
            for batch in batches:
                load = Load(batch=batch, streams=count, threads=max(1, cores // count), **asdict(asked))
                cell: dict[str, Any] = {"streams": count, "batch": batch, "threads": load.threads, "reason": None}
                try:
                    cell |= runtime.serve(of.folder, example, load)
                except EngineFailed as error:
                    cell |= {"people": None, "reason": str(error)}
                cells.append(cell)
                print(f"{of.variant.key}: {_cell_in_words(cell)}", file=sys.stderr, flush=True)
        return {
            "device": facts,
            "evidence": of.device.evidence(facts),
            "machine": described(facts),
            "asked": asdict(asked),
            "streams": list(streams),
            "batches": list(batches),
            "cells": cells,
            "most_people": max((cell["people"] or 0 for cell in cells), default=0),
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }


def _cell_in_words(cell: dict[str, Any]) -> str:
    where = f"{cell['streams']} stream{'s' * (cell['streams'] != 1)}, batch {cell['batch']}"
    if cell["reason"]:
        return f"{where}: {cell['reason']}"
    latency = "" if cell["p99_ms"] is None else f", 99 % within {digits.significant(cell['p99_ms'])} ms"
    return f"{where}: {cell['people']} people{latency}; at most {digits.significant(cell['throughput_per_s'])} inferences/s"


def in_words(result: dict[str, Any]) -> str:
    """The study for a terminal."""
    asked, variant = result["asked"], result["variant"]
    lines = [
        f"{variant['model']} p{variant['percentile']} {variant['precision']} on {variant['device']} ({result['machine']}, "
        f"{result['device']['runtime']} {result['device']['runtime_version']})",
        f"people at {asked['rate']:g} inferences a second each, 99 % of answers within {asked['limit_ms']:g} ms, "
        f"batches wait at most {asked['wait_ms']:g} ms",
        "",
        f"{'streams':>7}  {'batch':>5}  {'people':>6}  {'p50 ms':>7}  {'p99 ms':>7}  {'most/s':>8}  mJ/inference",
    ]
    for cell in result["cells"]:
        if cell["reason"]:
            lines.append(f"{cell['streams']:7}  {cell['batch']:5}  {cell['reason']}")
            continue
        figures = [cell["p50_ms"], cell["p99_ms"], cell["throughput_per_s"], cell["energy_mj_per_inference"]]
        p50, p99, most, energy = map(digits.significant, figures)
        lines.append(
            f"{cell['streams']:7}  {cell['batch']:5}  {cell['people']:6}  {p50:>7}  {p99:>7}  {most:>8}  {energy:>12}"
        )
    reasons = dict.fromkeys(cell["energy_reason"] for cell in result["cells"] if cell.get("energy_reason"))
    lines += ["", *(f"no energy: {reason}" for reason in reasons)]
    return "\n".join([*lines, f"the most: {result['most_people']} people"])
