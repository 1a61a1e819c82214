"""Read the JSON files in which trtexec writes the times of single queries, and of layers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from remote.runtimes.tensorrt.trtexec.command import always_copies

WARMUP_EXCLUDED_FROM = (8, 5)


class ExportError(ValueError):
    """A file is not one of trtexec's; the message says what is wrong with it."""


@dataclass(frozen=True)
class QueryTimes:
    """Times of the timed queries in ms, float64 [queries] each.

    Attributes:
        latency: the time from the start of the input's transfer to the end of the output's, or of computing alone where
            transfers do not count.
        compute: the time on the GPU alone.
        to_device: the input's transfer; 0 without transfers, except in TensorRT 7.1, which always copies.
        to_host: the output's transfer; likewise.
    """

    latency: np.ndarray
    compute: np.ndarray
    to_device: np.ndarray
    to_host: np.ndarray


def parse_times(text: str, version: Sequence[int], warmup_ms: float, transfers: bool) -> QueryTimes:
    """Read ``--exportTimes``.

    Up to TensorRT 8.4 the rows of the warm-up come first; these are the queries that began computing within it. TensorRT 7
    has other names for the transfers, and 7.1 copies in every query.

    Args:
        text: the content of the file.
        version: the version of TensorRT.
        warmup_ms: the length of the warm-up that was asked for.
        transfers: whether a query should include copying inputs and outputs.

    Raises:
        ExportError: the file is damaged or empty, or its times are no times.
    """
    rows = _rows(text)
    if tuple(version[:2]) < WARMUP_EXCLUDED_FROM:
        rows = [row for row in rows if _number(row, "startComputeMs") >= warmup_ms]
    if not rows:
        raise ExportError("no query was timed")
    to_device, to_host = ("inMs", "outMs") if tuple(version[:2]) < (8, 0) else ("h2dMs", "d2hMs")
    latency = "computeMs" if always_copies(version) and not transfers else "latencyMs"
    columns = [
        np.array([_number(row, key) for row in rows], np.float64) for key in (latency, "computeMs", to_device, to_host)
    ]
    if (columns[0] <= 0).any() or any((column < 0).any() for column in columns):
        raise ExportError("a query took no time or less")
    return QueryTimes(*columns)


def parse_profile(text: str) -> list[dict[str, Any]]:
    """Read ``--exportProfile``: the name and the time a query (``ms``) of each layer, in the order in which they run.

    Args:
        text: the content of the file.

    Raises:
        ExportError: the file is damaged, or its times are no times.
    """
    rows = [row for row in _rows(text) if "name" in row]
    if not rows:
        raise ExportError("no layer was timed")
    # Older versions have no median.
    layers = [(row["name"], _number(row, "medianMs" if "medianMs" in row else "averageMs")) for row in rows]
    return [{"name": str(name), "op": "", "ms": round(ms, 5)} for name, ms in layers]


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
