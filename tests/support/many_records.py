"""Records of many variants that nobody measured, for a report at the size of a large study."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import Any

from ruamel.yaml import YAML

from gait.evaluation.open_set import CURVE
from gaitpress import outputs, params
from tests.support.toy import ROOT

DEVICES = ("board-a", "board-b")
MODELS = ("gaitset", "gaitpart", "gaitgl", "baseline", "gaitbase")
PRECISIONS = ("fp32", "int8")
PERCENTILES = tuple(range(0, 50, 2))  # 2 x 5 x 2 x 25 = 500
VIEWS = tuple(f"{degrees:03d}" for degrees in range(0, 181, 18))


def study(where: Path, one_machine: bool = False) -> params.Params:
    """params.yaml and its records below ``where``, as CASIA-B's eleven views would give them.

    Args:
        where: the folder to write.
        one_machine: whether the two devices are two runtimes of one board, and not a board and a simulated one.
    """
    data = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    data |= {"devices": list(DEVICES), "models": list(MODELS), "precisions": list(PRECISIONS)}
    data["prune"]["percentiles"] = list(PERCENTILES)
    YAML().dump(data, where / "params.yaml")
    rng = random.Random(0)
    for device in DEVICES:
        for model in MODELS:
            for percentile in PERCENTILES:
                for precision in PRECISIONS:
                    made = record(rng, device, model, percentile, precision)
                    if one_machine:
                        runtime = "tensorrt" if device == DEVICES[0] else "openvino"
                        made |= {
                            "evidence": "real-device",
                            "device": {**made["device"], "board": "A kit", "runtime": runtime},
                        }
                    name = f"{device}/{model}/p{percentile}-{precision}.json"
                    outputs.write_json(where / "results/recognise" / name, rates_of(made))
                    outputs.write_json(where / "results/benchmark" / name, made)
    return params.load(where / "params.yaml")


def rates_of(record: dict[str, Any]) -> dict[str, Any]:
    """What recognise would write of the same engine; the record keeps the rest."""
    rates = {key: record.pop(key, None) for key in ("accuracy", "rank1_by_view")}
    tested = {
        "protocol": "casia-b",
        "distance": params_of_all().model[record["variant"]["model"]].distance,
        "digest": "0",
        "partition": "0",
        "sequences": {"gallery": 168, "probe": 252},
        "people": {"gallery": 14, "probe": 14},
    }
    return {**{key: record[key] for key in ("status", "reason", "variant", "engine")}, "settings": tested, **rates}


@cache
def params_of_all() -> params.Params:
    return params.load(ROOT / "params.yaml")


def settings_of(model: str, percentile: float, precision: str) -> dict[str, Any]:
    """What a record says that it was made and measured with."""
    chosen = params_of_all()
    entry = chosen.model[model]
    return {
        "data": {
            "dataset": "walkers",
            "evidence": "synthetic",
            "modality": entry.modality,
            "fps": 25,
            "preprocess": chosen.preprocess[entry.modality].model_dump(mode="json"),
            "digest": "0",
            "partition": "0",
            "sequences": {"train": 340},
            "people": {"train": 34},
        },
        "model": entry.model_dump(mode="json"),
        "origin": {"init": None, "trained": True},
        "prune": {"percentile": percentile, **chosen.prune.model_dump(mode="json", exclude={"percentiles"})},
        "finetune": chosen.finetune[model].model_dump(mode="json"),
        "export": chosen.export.model_dump(mode="json"),
        "quantize": {"precision": precision},
        "benchmark": chosen.benchmark.model_dump(mode="json"),
    }


def det(eer: float) -> dict[str, list[float]]:
    """The curve of a network with this equal error rate whose distances are normally distributed, all rates in %."""
    normal = NormalDist()
    frr = [normal.cdf(2 * normal.inv_cdf(eer / 100) - normal.inv_cdf(far / 100)) for far in CURVE[:-1]]
    return {"far": list(CURVE), "frr": [*(round(100 * rate, 3) for rate in frr), 0.0]}


def record(rng: random.Random, device: str, model: str, percentile: float, precision: str) -> dict[str, Any]:
    """What a benchmark would write: mostly valid, sometimes unstable, failed, skipped or without energy."""
    evidence = "simulated" if device == "board-b" else "real-device"
    common = {
        "variant": {
            "device": device,
            "model": model,
            "percentile": percentile,
            "precision": precision,
            "dataset": "walkers",
        },
        "settings": settings_of(model, percentile, precision),
        "measured_at": "2030-01-01T00:00:00+00:00",
        "seconds": 10.0,
        "evidence": evidence,
        "data": "synthetic",
        "device": {"board": f"{device} kit", "runtime": "tensorrt", "runtime_version": "8.5", "cpu": "ARM", "cores": 6},
        "engine": {"runtime": "tensorrt", "version": "8.5", "key": "0", "sha256": "0"},
        "signature": {"inferences_per_video_second": 25 / 30},
        "protocol": {
            # As TensorRT's records: without a number of threads.
            "batch": 1,
            "repeats": 3,
            "warmup_s": 2,
            "duration_s": 10,
            "min_queries": 1000,
            "max_cov": 0.1,
        },
        "size": {"engine_bytes": rng.randrange(10**5, 10**7), "onnx_bytes": 10**6, "params": 10**6, "macs": 10**9},
    }
    fate = rng.random()
    if fate < 0.06:
        status, reason = rng.choice([("failed", "out of memory"), ("skipped", "no int8 on this board")])
        absent = dict.fromkeys(("latency_ms", "ms_per_video_second", "energy_mj_per_inference", "accuracy", "rank1_by_view"))
        refusal = {"reason": reason, "valid": False, "invalid_reasons": [reason], "energy_reason": reason}
        return common | absent | refusal | {"status": status}
    p50 = rng.uniform(2, 40)
    rank1 = {kind: rng.uniform(40, 99) for kind in ("nm", "bg", "cl")}
    mean = sum(rank1.values()) / 3
    reasons = ["throttled: 71 °C"] if fate > 0.92 else []
    energy = None if rng.random() < 0.1 else rng.uniform(5, 80)
    tables = {kind: [[None if a == b else round(rng.uniform(30, 100), 2) for a in VIEWS] for b in VIEWS] for kind in rank1}
    return common | {
        "status": "ok",
        "reason": None,
        "valid": not reasons,
        "invalid_reasons": reasons,
        "latency_ms": {
            "p50": p50,
            "p50_low": 0.97 * p50,
            "p50_high": 1.05 * p50,
            "p90": 1.1 * p50,
            "p99": 1.2 * p50,
            "cov": 0.05,
        },
        "throughput_per_s": 1000 / p50,
        "sweep": [
            {"batch": 1, "latency_ms": p50, "inferences_per_s": 1000 / p50, "cov": 0.1, "queries": 9, "reason": None},
            {"batch": 8, "latency_ms": 5 * p50, "inferences_per_s": 1600 / p50, "cov": 0.1, "queries": 9, "reason": None},
            {
                "batch": 16,
                "latency_ms": None,
                "inferences_per_s": None,
                "cov": None,
                "queries": 0,
                "reason": "out of memory",
            },
        ],
        "ms_per_video_second": p50 * 25 / 30,
        "energy_mj_per_inference": energy,
        "energy_reason": None if energy else "the rail could not be read",
        "accuracy": {
            "rank1": {
                "mean": mean,
                "interval": [mean - 3, mean + 2],
                "people": 50,
                "probes": 5500,
                "conditions": {
                    kind: {"rate": rate, "interval": [rate - 4, rate + 3], "people": 50, "probes": 1100}
                    for kind, rate in rank1.items()
                },
            },
            "probes": 5500,
            "open_set": {
                "enrolled": 50,
                "trials": {"enrolled": 5500, "strangers": 5500},
                "eer": 100 - mean,
                "det": det(100 - mean),
                "promised": [
                    {
                        "far": far,
                        "threshold": 0.3 + far / 100,
                        "tar": {"rate": tar, "interval": [tar - 5, tar + 4], "people": 50, "probes": 5500},
                        "false_accepts": {"rate": far, "interval": [far / 2, 2 * far], "people": 50, "probes": 5500},
                    }
                    for far, tar in ((10.0, mean), (1.0, mean / 2))
                ],
            },
            "protocol": "casia-b",
            "distance": "euclidean",
        },
        "rank1_by_view": {"probe": list(VIEWS), "gallery": list(VIEWS), "rank1": tables},
    }
