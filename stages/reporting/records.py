"""Benchmark records of the variants that params.yaml lists, with what follows from comparing them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stages import io
from stages.params import Params
from stages.reporting.pareto import front


@dataclass(frozen=True)
class Row:
    """A variant and its record.

    Attributes:
        device, model, percentile, precision: the variant.
        path: where its record is, or should be.
        record: the benchmark record; for one that is not there, a stand-in with ``status: missing``.
        speedup: how many times faster than the same model's unpruned fp32 on this device; None if unknown.
        baseline_valid: whether that baseline's times are valid.
        optimal: no other valid variant on this device beats it in both rank-1 and time a second of video.
        own_optimal: the same among the variants of its model.
    """

    device: str
    model: str
    percentile: int | float
    precision: str
    path: Path
    record: Mapping[str, Any]
    speedup: float | None = None
    baseline_valid: bool = True
    optimal: bool = False
    own_optimal: bool = False

    @property
    def short_name(self) -> str:
        return f"p{self.percentile} {self.precision}"

    @property
    def name(self) -> str:
        return f"{self.model} {self.short_name}"

    @property
    def status(self) -> str:
        """ok, failed, skipped or missing."""
        return self.record["status"]

    @property
    def valid(self) -> bool:
        return self.status == "ok" and bool(self.record["valid"])

    @property
    def reasons(self) -> list[str]:
        """Why the variant failed, was skipped, is missing or has times that should not be used."""
        return [self.record["reason"]] if self.status != "ok" else list(self.record["invalid_reasons"])

    @property
    def verdict(self) -> str:
        """The status in a word: Pareto-optimal, valid, invalid, failed, skipped or missing."""
        if self.status != "ok":
            return self.status
        return ("Pareto-optimal" if self.optimal else "valid") if self.valid else "invalid"

    @property
    def plotted(self) -> bool:
        """Whether there are a time and an accuracy to show."""
        cost, gain = self.get("ms_per_video_second"), self.get("accuracy", "rank1_mean")
        return self.status == "ok" and None not in (cost, gain) and math.isfinite(cost) and math.isfinite(gain)

    def get(self, *keys: str) -> Any:
        """A value of the record by its path, such as ``get("latency_ms", "p50")``; None if it is not there."""
        value: Any = self.record
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value


def load(records: Path, settings: Params) -> list[Row]:
    """The rows of all variants that params.yaml lists, in its order; leftovers of other variants are not looked at.

    Raises:
        StageError: not a single record is there, or one is damaged.
    """
    rows = [
        _row(records, device, model, percentile, precision, settings.dataset)
        for device in settings.devices
        for model in settings.models
        for percentile in settings.prune.percentiles
        for precision in settings.precisions
    ]
    if all(row.status == "missing" for row in rows):
        raise io.StageError(f"{records}: holds no record of the variants in params.yaml; run `dvc repro`")
    return list(_compared(rows))


def _row(records: Path, device: str, model: str, percentile: int | float, precision: str, dataset: str) -> Row:
    path = records / device / model / f"p{percentile}-{precision}.json"
    stage = f"benchmark@{device}-{model}-{percentile}-{precision}"
    if not path.exists():
        return Row(device, model, percentile, precision, path, _missing(f"not measured yet: `dvc repro {stage}`"))
    record = io.read_json(path)
    expected = {"device": device, "model": model, "percentile": percentile, "precision": precision, "dataset": dataset}
    found = record.get("variant") if isinstance(record, dict) else None
    if found != expected or "status" not in record:
        raise io.StageError(f"{path}: is not the record of {expected}; measure it again: `dvc repro -f -s {stage}`")
    return Row(device, model, percentile, precision, path, record)


def _missing(reason: str) -> dict[str, Any]:
    return {"status": "missing", "reason": reason, "valid": False, "invalid_reasons": [reason]}


def _compared(rows: Sequence[Row]) -> Iterator[Row]:
    baselines = {
        (row.device, row.model): row
        for row in rows
        if row.percentile == 0 and row.precision == "fp32" and row.get("latency_ms", "p50")
    }
    optimal = {id(row) for device in {row.device for row in rows} for row in _front(rows, device)}
    own = {id(row) for device, model in {(row.device, row.model) for row in rows} for row in _front(rows, device, model)}
    for row in rows:
        baseline = baselines.get((row.device, row.model))
        ours = row.get("latency_ms", "p50")
        yield replace(
            row,
            speedup=round(baseline.get("latency_ms", "p50") / ours, 4) if baseline and ours else None,
            baseline_valid=baseline is None or baseline.valid,
            optimal=id(row) in optimal,
            own_optimal=id(row) in own,
        )


def _front(rows: Sequence[Row], device: str, model: str | None = None) -> list[Row]:
    """The Pareto-optimal rows of a device, or of one model on it; only valid ones can be."""
    candidates = [row for row in rows if row.device == device and model in (None, row.model) and row.valid and row.plotted]
    points = [(row.get("ms_per_video_second"), row.get("accuracy", "rank1_mean")) for row in candidates]
    return [candidates[position] for position in front(points)]


def by_device(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each device, in their order."""
    devices = dict.fromkeys(row.device for row in rows)
    return {device: [row for row in rows if row.device == device] for device in devices}
