"""Measure an engine on its device: latency, energy, and the accuracy of this very engine.

A failed build, or an engine that breaks, is a record too: ``status: failed`` with the reason.
"""

from __future__ import annotations

import random
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from gait.data.partitions import Partition
from gait.data.sequences import SequenceStore
from gait.evaluation import protocols, signatures
from remote import facts, inventory
from remote.benchmark import BenchmarkSettings, Timing
from remote.errors import EngineFailed, StaleEngine
from remote.runtimes import Runtime, runtime_on
from stages import forms, io, params
from stages.inputs import add_options, of_same_data, open_data


@dataclass(frozen=True)
class Variant:
    """What is measured, and where."""

    model: str
    percentile: int | float
    precision: str
    device: str

    def stage(self, name: str) -> str:
        """The address of a stage of this variant in dvc.yaml."""
        return f"{name}@{self.device}-{self.model}-{self.percentile}-{self.precision}"


@dataclass(frozen=True)
class Inputs:
    """Where everything is: devices.yaml, the device's facts, the engine, the network, and the data to measure with."""

    devices: Path
    facts: Path
    engine: Path
    quantized: Path
    partition: Path
    preprocessed: Path


def benchmark(variant: Variant, where: Inputs, settings: params.Benchmark) -> dict[str, Any]:
    """Measure a variant.

    Returns:
        The benchmark record.

    Raises:
        StageError: the engine has to be built again, or inputs do not belong together.
        DeviceError: the device is no longer what its facts say.
    """
    device = inventory.find(where.devices, variant.device)
    doing = f"the benchmark of {variant.model}/p{variant.percentile}-{variant.precision}"
    with runtime_on(device, doing) as runtime:
        return _measured(variant, device, runtime, where, settings)


def _measured(
    variant: Variant, device: inventory.Device, runtime: Runtime, where: Inputs, settings: params.Benchmark
) -> dict[str, Any]:
    start = time.monotonic()
    now = runtime.facts()
    facts.check(variant.device, facts.read(where.facts, variant.device), now)
    partition, store = open_data(where.partition, where.preprocessed)
    built = io.read_json(where.engine / "build.json")
    onnx = where.quantized / str(built.get("onnx"))
    signature = forms.described(where.quantized, onnx.name)
    record: dict[str, Any] = {
        "status": "ok",
        "reason": None,
        "variant": {**asdict(variant), "dataset": store.dataset},
        "evidence": device.evidence(now),
        "data": store.evidence,
        "size": {
            "onnx_bytes": onnx.stat().st_size,
            "engine_bytes": built["bytes"],
            "params": signature["params"],
            "macs": signature["macs"],
        },
        "device": now,
        "engine": {key: built[key] for key in ("key", "sha256", "onnx_sha256", "runtime", "version")},
        "signature": signature,
        "protocol": asdict(protocol_of(settings)),
        "settings": {
            **of_same_data(where.quantized, partition, store),
            "benchmark": settings.model_dump(mode="json"),
        },
    }
    try:
        runtime.check(where.engine, onnx)
        example = example_input(store, partition, signature, max(settings.batch, *settings.sweep, 1))
        record |= timing_part(runtime.benchmark(where.engine, example, protocol_of(settings)), signature, settings.batch)
        record |= accuracy_part(runtime, where.engine, store, partition, signature, settings.threads)
    except StaleEngine as error:
        raise io.StageError(f"{error}; build it again: `dvc repro -f -s {variant.stage('build')}`") from None
    except EngineFailed as error:
        record |= without_figures("skipped" if built["status"] == "skipped" else "failed", str(error))
    record["protocol"]["frames"] = signature["benchmark_shape"][1]
    record["measured_at"] = datetime.now(UTC).isoformat(timespec="seconds")
    record["seconds"] = round(time.monotonic() - start, 1)
    return record


def protocol_of(settings: params.Benchmark) -> BenchmarkSettings:
    """The section ``benchmark`` of params.yaml in the words of remote."""
    return BenchmarkSettings(**settings.model_dump())


def example_input(store: SequenceStore, partition: Partition, signature: dict[str, Any], batch: int) -> np.ndarray:
    """So many real test inputs of the shape that latency is measured at, from probe sequences drawn at random.

    The same ones for every variant of a model: a runtime may be faster on an easier input.
    """
    shape = signature["benchmark_shape"]
    drawn = random.Random(0).choices(sorted(partition.probe), k=batch)
    stacked = np.concatenate([signatures.samples(store, store.sequences[position], shape)[0] for position in drawn])
    if list(stacked.shape[1:]) != list(shape[1:]):
        raise io.StageError(f"benchmark_shape {shape} of the network does not fit the data's inputs {stacked.shape}")
    return stacked


def timing_part(timing: Timing, signature: dict[str, Any], batch: int) -> dict[str, Any]:
    """What the record keeps of a measurement."""
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
        "conditions": dict(timing.conditions),
        "protocol": dict(timing.protocol),
        "repeats": list(timing.repeats),
        "sweep": [dict(each) for each in timing.sweep],
    }


def without_figures(status: str, reason: str) -> dict[str, Any]:
    """What takes the place of a measurement that there is not."""
    absent = (
        "latency_ms",
        "throughput_per_s",
        "ms_per_video_second",
        "energy_mj_per_inference",
        "energy",
        "conditions",
    )
    return {
        "status": status,
        "reason": reason,
        "valid": False,
        "invalid_reasons": [f"{status}: {reason}"],
        **dict.fromkeys(absent),
        "energy_reason": f"{status}: {reason}",
        "accuracy": None,
        "rank1_by_view": None,
        "repeats": [],
        "sweep": [],
    }


def accuracy_part(
    runtime: Runtime, engine: Path, store: SequenceStore, partition: Partition, signature: dict[str, Any], threads: int
) -> dict[str, Any]:
    """What the partition's protocol says of the engine itself: its rates, and rank-1 of each pair of views if there are any.

    Raises:
        EngineFailed: the engine's signatures have another shape than declared or are not finite.
    """
    shape = signature["input"]["shape"]
    inputs = (
        sample
        for position in io.progress(partition.test, len(partition.test), "accuracy of the engine, sequences")
        for sample in signatures.samples(store, store.sequences[position], shape)
    )

    def checked(output: np.ndarray) -> np.ndarray:
        if list(output.shape) != list(signature["output"]["shape"]) or not np.isfinite(output).all():
            raise EngineFailed(
                f"the engine's signature {list(output.shape)} is not finite or not {signature['output']['shape']}"
            )
        return output

    found = map(checked, runtime.run(engine, inputs, threads))
    collected = signatures.Signatures.collect(signatures.owners(store, partition.test, shape), found)
    del found  # a runtime may hand over a list of all outputs
    hits = protocols.identified(collected, store.sequences, partition, threads=threads)
    result = protocols.rates(hits, collected, store.sequences, partition, threads=threads)
    return {
        "accuracy": {**result, "protocol": partition.protocol, "distance": partition.distance, "source": "engine"},
        "rank1_by_view": hits.by_view() if len(hits.gallery_views) > 1 else None,
    }


def main() -> None:
    parser = io.parser(__doc__)
    parser.add_argument("--device", required=True, help="an entry of devices.yaml")
    parser.add_argument("--devices", type=Path, required=True, help="devices.yaml")
    parser.add_argument("--facts", type=Path, required=True, help="the device's facts, from the stage probe")
    parser.add_argument("--model", required=True, help="name of the model")
    parser.add_argument("--percentile", type=io.number, required=True, help="pruning percentile")
    parser.add_argument("--precision", required=True, help="precision of the network")
    parser.add_argument("--engine", type=Path, required=True, help="directory with the engine, from the stage build")
    parser.add_argument("--quantized", type=Path, required=True, help="directory with the network, from the stage quantize")
    add_options(parser)
    parser.add_argument("--out", type=Path, required=True, help="the record to write")
    given, settings = io.parse(parser)
    variant = Variant(given.model, given.percentile, given.precision, given.device)
    where = Inputs(given.devices, given.facts, given.engine, given.quantized, given.partition, given.preprocessed)
    record = benchmark(variant, where, settings.benchmark)
    io.write_json(given.out, record)
    print(f"{given.out}: {in_words(record)}")


def in_words(record: dict[str, Any]) -> str:
    """A record in one line."""
    if record["status"] != "ok":
        return f"{record['status']}: {record['reason']}"
    latency = record["latency_ms"]
    line = f"rank-1 {record['accuracy']['rank1']['mean']:.1f} %, {latency['p50']:.3g} ms ({latency['p50_low']:.3g} to "
    line += f"{latency['p50_high']:.3g}), {record['ms_per_video_second']:.3g} ms a second of video"
    return line if record["valid"] else f"{line}; NOT VALID: {'; '.join(record['invalid_reasons'])}"


if __name__ == "__main__":
    io.run(main)
