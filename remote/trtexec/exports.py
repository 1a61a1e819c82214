"""The JSON files that trtexec writes: times of single queries and times of layers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WARMUP_EXCLUDED_FROM = (8, 5)


class ExportError(ValueError):
    """A file is not what trtexec writes; the message says what is wrong with it."""


@dataclass(frozen=True)
class QueryTimes:
    """Times of the timed queries in ms, float64 [queries] each.

    Attributes:
        latency: from the start of the input's transfer to the end of the output's.
        compute: on the GPU alone.
        to_device: the input's transfer; 0 without transfers.
        to_host: the output's.
    """

    latency: np.ndarray
    compute: np.ndarray
    to_device: np.ndarray
    to_host: np.ndarray


@dataclass(frozen=True)
class LayerTime:
    """A layer's time over a profiling run.

    Attributes:
        name: of the layer, several fused ones joined by " + ".
        total_ms: over all queries.
        average_ms: a query.
        median_ms: a query; None before TensorRT 8.4.
        percentage: of all layers' time.
        other: further fields of the row.
    """

    name: str
    total_ms: float
    average_ms: float
    median_ms: float | None
    percentage: float
    other: Mapping[str, Any]


def parse_times(text: str, version: Sequence[int], warmup_ms: float) -> QueryTimes:
    """Read ``--exportTimes``.

    Up to TensorRT 8.4 the rows of the warm-up come first; those are the queries that began computing within it.

    Raises:
        ExportError: it is damaged, empty, or its times are no times.
    """
    rows = _rows(text)
    if tuple(version[:2]) < WARMUP_EXCLUDED_FROM:
        rows = [row for row in rows if _number(row, "startComputeMs") >= warmup_ms]
    if not rows:
        raise ExportError("no query was timed")
    columns = [
        np.array([_number(row, key) for row in rows], np.float64) for key in ("latencyMs", "computeMs", "h2dMs", "d2hMs")
    ]
    if (columns[0] <= 0).any() or any((column < 0).any() for column in columns):
        raise ExportError("a query took no time or less")
    return QueryTimes(*columns)


def parse_profile(text: str) -> tuple[int, list[LayerTime]]:
    """Read ``--exportProfile``: the number of profiled queries, and the layers in order.

    Raises:
        ExportError: it is damaged or its first row is no count.
    """
    first, *rows = _rows(text) or [{}]
    count = first.get("count")
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise ExportError("the first row is no count of queries")
    known = ("name", "timeMs", "averageMs", "medianMs", "percentage")
    return count, [
        LayerTime(
            str(row.get("name")),
            _number(row, "timeMs"),
            _number(row, "averageMs"),
            _number(row, "medianMs") if "medianMs" in row else None,
            _number(row, "percentage"),
            {key: value for key, value in row.items() if key not in known},
        )
        for row in rows
    ]


def _rows(text: str) -> list[dict[str, Any]]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ExportError(f"not valid JSON ({error})") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ExportError("not a list of rows")
    return rows


def _number(row: Mapping[str, Any], key: str) -> float:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ExportError(f"a row has no number {key}")
    return float(value)
