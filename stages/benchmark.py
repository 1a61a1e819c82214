"""Measure the times and the energy of an engine on its device. `recognise` measures its accuracy.

A failed build or a broken engine has a record too: ``status: failed`` with the reason.
"""

from __future__ import annotations

import random
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from gait.data.prepared.sequences import SequenceStore
from gait.data.prepared.sets import TrainingSet
from gait.data.samples import samples
from gaitpress import command_line, engine, outputs
from gaitpress.errors import StageError
from gaitpress.inputs import add_training, of_same_training, open_training
from gaitpress.params.benchmark import Benchmark
from remote.benchmark import BenchmarkSettings, Timing
from remote.errors import EngineFailed


def benchmark(measured: engine.Engine, training: Path, preprocessed: Path, settings: Benchmark) -> dict[str, Any]:
    """Measure an engine.

    Args:
        measured: the engine and where it is.
        training, preprocessed: the model's training set, whose walks are the inputs, and the folder of all modalities.
        settings: settings of the measurement.

    Returns:
        The benchmark record.

    Raises:
        StageError: the engine has to be built again, or inputs do not belong together.
        DeviceError: the device is no longer what its facts say.
    """
    start = time.monotonic()
    training_set, store = open_training(training, preprocessed)
    signature, variant = measured.signature, measured.variant
    record: dict[str, Any] = {
        "status": "ok",
        "reason": None,
        "variant": {**asdict(variant), "dataset": store.dataset},
        "data": store.evidence,
        "size": {
            "onnx_bytes": measured.onnx.stat().st_size,
            "engine_bytes": measured.build["bytes"],
            "params": signature["params"],
            "macs": signature["macs"],
        },
        "engine": measured.identity(),
        "signature": signature,
        "protocol": asdict(protocol_of(settings)),
        "settings": {
            **of_same_training(measured.quantized, training_set, store),
            "benchmark": settings.model_dump(mode="json"),
        },
    }
    example = example_input(store, training_set, signature, max(settings.batch, *settings.sweep, 1))
    with measured.connected("the benchmark") as (runtime, device_facts):
        record |= {"device": device_facts, "evidence": measured.device.evidence(device_facts)}
        try:
            measured.check(runtime)
            timing = runtime.benchmark(measured.folder, example, protocol_of(settings))
            record |= timing_part(timing, signature, settings.batch)
        except EngineFailed as error:
            record |= without_figures(measured.without_engine, str(error))
    record["protocol"]["frames"] = signature["benchmark_shape"][1]
    record["measured_at"] = datetime.now(UTC).isoformat(timespec="seconds")
    record["seconds"] = round(time.monotonic() - start, 1)
    return record


def protocol_of(settings: Benchmark) -> BenchmarkSettings:
    """The section ``benchmark`` of params.yaml as the settings that `remote` takes."""
    return BenchmarkSettings(**settings.model_dump())


def example_input(store: SequenceStore, training_set: TrainingSet, signature: dict[str, Any], batch: int) -> np.ndarray:
    """A batch of real inputs of the shape that latency is measured at, from training sequences drawn at random.

    Every variant of a model gets the same inputs: a runtime may be faster on an easier input. They come from the training
    set, so that an edit of the test set does not repeat the measurement.
    """
    shape = signature["benchmark_shape"]
    positions = random.Random(0).choices(sorted(training_set.train), k=batch)
    example = np.concatenate([samples(store, store.sequences[position], shape)[0] for position in positions])
    if list(example.shape[1:]) != list(shape[1:]):
        raise StageError(f"benchmark_shape {shape} of the network does not fit the data's inputs {example.shape}")
    return example


def timing_part(timing: Timing, signature: dict[str, Any], batch: int) -> dict[str, Any]:
    """The part of the record that a measurement fills."""
    energy = timing.energy
    per_inference_ms = timing.latency_ms["p50"] / batch
    return {
        "valid": not timing.invalid_reasons,
        "invalid_reasons": list(timing.invalid_reasons),
        "latency_ms": dict(timing.latency_ms),
        "throughput_per_s": timing.throughput_per_s,
        "ms_per_video_second": round(per_inference_ms * signature["inferences_per_video_second"], 5),
        "energy_mj_per_inference": energy["gross_mj"] if energy else None,
        "energy": dict(energy) if energy else None,
        "energy_reason": timing.energy_reason,
        "nodes": timing.nodes.get("nodes"),
        "nodes_reason": timing.nodes.get("reason"),
        "conditions": dict(timing.conditions),
        "protocol": dict(timing.protocol),
        "repeats": list(timing.repeats),
        "sweep": [dict(entry) for entry in timing.sweep],
    }


def without_figures(status: str, reason: str) -> dict[str, Any]:
    """The same part of the record where nothing could be measured."""
    absent = (
        "latency_ms",
        "throughput_per_s",
        "ms_per_video_second",
        "energy_mj_per_inference",
        "energy",
        "nodes",
        "conditions",
    )
    return {
        "status": status,
        "reason": reason,
        "valid": False,
        "invalid_reasons": [f"{status}: {reason}"],
        **dict.fromkeys(absent),
        "energy_reason": f"{status}: {reason}",
        "nodes_reason": f"{status}: {reason}",
        "repeats": [],
        "sweep": [],
    }


def main() -> None:
    parser = command_line.parser(__doc__)
    engine.add_options(parser)
    add_training(parser)
    parser.add_argument("--out", type=Path, required=True, help="the record to write")
    options, settings = command_line.parse(parser)
    record = benchmark(engine.named(options), options.training, options.preprocessed, settings.benchmark)
    outputs.write_json(options.out, record)
    print(f"{options.out}: {in_words(record)}")


def in_words(record: dict[str, Any]) -> str:
    """A record in one line."""
    if record["status"] != "ok":
        return f"{record['status']}: {record['reason']}"
    latency = record["latency_ms"]
    line = f"{latency['p50']:.3g} ms ({latency['p50_low']:.3g} to "
    line += f"{latency['p50_high']:.3g}), {record['ms_per_video_second']:.3g} ms a second of video"
    return line if record["valid"] else f"{line}; NOT VALID: {'; '.join(record['invalid_reasons'])}"


if __name__ == "__main__":
    command_line.run(main)
