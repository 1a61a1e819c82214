"""A variant as a run of an experiment tracker: its name, settings, figures and tags."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stages.params import Params
from stages.reporting.records import Row

METRICS = {
    "latency_p50_ms": ("latency_ms", "p50"),
    "latency_p50_low_ms": ("latency_ms", "p50_low"),
    "latency_p50_high_ms": ("latency_ms", "p50_high"),
    "latency_p90_ms": ("latency_ms", "p90"),
    "latency_p99_ms": ("latency_ms", "p99"),
    "latency_cov": ("latency_ms", "cov"),
    "ms_per_video_second": ("ms_per_video_second",),
    "throughput_per_s": ("throughput_per_s",),
    "energy_mj_per_inference": ("energy_mj_per_inference",),
    "engine_bytes": ("size", "engine_bytes"),
    "onnx_bytes": ("size", "onnx_bytes"),
    "params": ("size", "params"),
    "macs": ("size", "macs"),
}


@dataclass(frozen=True)
class Run:
    """What is logged of a variant.

    Attributes:
        variant: what stays the same however often it is measured, such as "walkers/local/gaitset/p30-int8".
        content_key: hash of the record and the settings; another one means another run.
        name: shown in the list of runs.
        params, metrics, tags: what the tracker shows and filters by.
        speedup, optimal: what also depends on other variants' records, and so may change for the same measurement.
        artifacts: JSON files by name.
        failed: whether there is no measurement.
        start_ms, end_ms: when it was measured, in ms since 1970.
    """

    variant: str
    content_key: str
    name: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    speedup: float | None
    optimal: bool
    artifacts: Mapping[str, Any]
    failed: bool
    start_ms: int
    end_ms: int


def described(row: Row, settings: Params) -> Run:
    """The run of a row that has a record."""
    record = dict(row.record)
    dataset = record["variant"]["dataset"]
    chosen = _params(row, settings)
    artifacts = {"record.json": record}
    if "signature" in record:
        artifacts["signature.json"] = record["signature"]
    content = json.dumps([chosen, record], sort_keys=True).encode()
    end_ms = int(1000 * datetime.fromisoformat(record["measured_at"]).timestamp())
    return Run(
        variant=f"{dataset}/{row.device}/{row.model}/p{row.percentile}-{row.precision}",
        content_key=hashlib.sha256(content).hexdigest()[:32],
        name=f"{row.name} @ {row.device}",
        params=chosen,
        metrics=_metrics(row),
        tags=_tags(row),
        speedup=row.speedup,
        optimal=row.optimal,
        artifacts=artifacts,
        failed=row.status != "ok",
        start_ms=end_ms - int(1000 * record["seconds"]),
        end_ms=end_ms,
    )


def _params(row: Row, settings: Params) -> dict[str, str]:
    model = settings.model[row.model]
    values = {
        "model": row.model,
        "percentile": row.percentile,
        "precision": row.precision,
        "device": row.device,
        "dataset": settings.dataset,
        "framework": model.framework,
        "modality": model.modality,
        "width": model.width,
        "seed": model.seed,
        **{
            f"prune.{key}": getattr(settings.prune, key)
            for key in ("mode", "criterion", "scope", "round_to", "keep_min", "spare")
        },
        **{f"benchmark.{key}": value for key, value in settings.benchmark.model_dump().items()},
        "runtime": f"{row.get('engine', 'runtime')} {row.get('engine', 'version')}",
    }
    return {key: str(value) for key, value in values.items()}


def _metrics(row: Row) -> dict[str, float]:
    found = {name: row.get(*keys) for name, keys in METRICS.items()}
    accuracy = row.get("accuracy") or {}
    found |= {key: value for key, value in accuracy.items() if key.startswith(("rank1_", "rank5_", "knn7_"))}
    return {key: float(value) for key, value in found.items() if value is not None}


def _tags(row: Row) -> dict[str, str]:
    tags = {
        "model": row.model,
        "percentile": str(row.percentile),
        "precision": row.precision,
        "device": row.device,
        "dataset": row.get("variant", "dataset"),
        "evidence": row.get("evidence"),
        "data": row.get("data"),
        "status": row.status,
        "valid": str(row.valid).lower(),
    }
    if row.reasons:
        tags["reason"] = "; ".join(row.reasons)
    return tags
