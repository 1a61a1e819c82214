"""The variants as text for a terminal, as CSV and as flat metrics."""

from __future__ import annotations

import csv
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gaitpress.results import words
from gaitpress.results.records import Condition, Row, by_device, of_condition

WIDTH = 110
COLUMNS = {
    "model": ("model",),
    "percentile": ("percentile",),
    "precision": ("precision",),
    "device": ("device",),
    "status": ("status",),
    "valid": ("valid",),
    "reasons": (),
    "pareto_optimal": (),
    "same_as": (),
    "dataset": ("variant", "dataset"),
    "data": ("data",),
    "evidence": ("evidence",),
    "rank1_mean": ("accuracy", "rank1", "mean"),
    "rank1_mean_low": (),
    "rank1_mean_high": (),
    "people": ("accuracy", "rank1", "people"),
    "probes": ("accuracy", "rank1", "probes"),
    "distance": ("accuracy", "distance"),
    **{f"latency_{key}_ms": ("latency_ms", key) for key in ("p50", "p50_low", "p50_high", "p90", "p99", "mean")},
    "latency_cov": ("latency_ms", "cov"),
    "throughput_per_s": ("throughput_per_s",),
    "most_per_s": (),
    "most_per_s_batch": (),
    "ms_per_video_second": ("ms_per_video_second",),
    "energy_mj_per_inference": ("energy_mj_per_inference",),
    "speedup": (),
    "engine_bytes": ("size", "engine_bytes"),
    "onnx_bytes": ("size", "onnx_bytes"),
    "params": ("size", "params"),
    "macs": ("size", "macs"),
    "measured_at": ("measured_at",),
}

FIGURES = ("rank1_mean", "latency_p50_ms", "energy_mj_per_inference", "engine_bytes")


def text(rows: Sequence[Row]) -> str:
    """All variants, at most 110 columns wide; Pareto-optimal ones are marked with an asterisk."""
    lines = []
    for device, own in by_device(rows).items():
        dataset = next((row.get("variant", "dataset") for row in own if row.get("variant")), "")
        head = f"{device}: {dataset} ({words.data(own)}), {words.place(own)}, {words.runtime(own)}"
        lines += [*textwrap.wrap(head, WIDTH, break_on_hyphens=False), "", *_grid(own), ""]
    lines += [
        f"* Pareto-optimal: none is both faster and more accurate. Rank-1 in %, [95 % interval]. {words.DASH} unknown.",
        *textwrap.wrap(f"Rank-1 by {words.distance(rows)}: {words.counts(rows)}.", WIDTH, break_on_hyphens=False),
        "p50: median ms of a query. ms/video s: computing time a second of video. Speed-up: of p50 against p0 fp32.",
    ]
    return "\n".join(lines) + "\n"


def _grid(rows: Sequence[Row]) -> list[str]:
    kinds = words.conditions(rows)
    figures = ("p50 ms", "ms/video s", "speed-up", "MB", "status")
    head = ("", "variant", "mean", "[95 %]", *(kind.title for kind in kinds), *figures)
    cells = [head, *(_cells(row, kinds) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    left = {0, 1, len(head) - 1}
    lines = []
    for position, line in enumerate(cells):
        parts = [cell.ljust(w) if c in left else cell.rjust(w) for c, (cell, w) in enumerate(zip(line, widths, strict=True))]
        lines.append("  ".join(parts).rstrip())
        if position:
            indent = " " * (widths[0] + 4)
            for reason in rows[position - 1].reasons:
                lines += textwrap.wrap(reason, WIDTH, initial_indent=indent, subsequent_indent=indent)
    return lines


def _cells(row: Row, kinds: Sequence[Condition]) -> tuple[str, ...]:
    shown = row.shown
    return (
        "*" if row.optimal else " ",
        textwrap.shorten(row.name, 28, placeholder="..."),
        words.percent(shown.rank1),
        f"[{words.interval(*shown.rank1_interval, 'percent')}]",
        *(words.percent(shown.rank1_of(kind).get("rate")) for kind in kinds),
        words.significant(shown.get("latency_ms", "p50")),
        words.significant(shown.get("ms_per_video_second")),
        words.times(shown.speedup),
        words.mega(shown.get("size", "engine_bytes")),
        "" if row.verdict in ("Pareto-optimal", "valid") else row.verdict,
    )


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """One line a variant, one column a figure, empty where unknown.

    A ``best`` that is another variant has the figures of that one, which ``same_as`` names, and is neither valid nor optimal
    itself: it is no other engine.
    A condition's columns, such as "rank1/nm" and "rank1_low/nm", have a slash in their names, as no others have.
    """
    columns = dict(COLUMNS)
    conditions = words.conditions(rows)
    columns |= {name: () for condition in conditions for name in of_condition(condition, {})}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            shown = row.shown
            most, batch = shown.most_at_once or (None, None)
            own = {
                "model": row.model,
                "percentile": row.percentile,
                "precision": row.precision,
                "device": row.device,
                "status": row.status,
                "valid": row.valid,
                "reasons": "; ".join(row.reasons),
                "pareto_optimal": row.optimal,
                "same_as": row.same_as.precision if row.same_as else None,
                "rank1_mean_low": shown.rank1_interval[0],
                "rank1_mean_high": shown.rank1_interval[1],
                "speedup": shown.speedup,
                "most_per_s": most,
                "most_per_s_batch": batch,
            }
            for condition in conditions:
                own |= of_condition(condition, shown.rank1_of(condition))
            writer.writerow([own[column] if column in own else shown.get(*keys) for column, keys in columns.items()])


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """The main figures of the variants that were measured, by device, model and variant, as DVC's metrics are nested."""
    found: dict[str, Any] = {}
    for row in rows:
        if row.status == "ok":
            own = {name: row.get(*COLUMNS[name]) for name in FIGURES}
            known = {name: value for name, value in own.items() if value is not None}
            variant = f"p{row.percentile}-{row.precision}"
            found.setdefault(row.device, {}).setdefault(row.model, {})[variant] = known
    return found


def metrics(rows: Sequence[Row]) -> dict[str, float]:
    """How many variants came out how, and the best figures of the valid ones."""
    valid = [row for row in rows if row.valid and row.plotted]
    result: dict[str, float] = {
        "variants": len(rows),
        **{status: sum(row.status == status for row in rows) for status in ("ok", "failed", "skipped", "missing")},
        "invalid": sum(row.status == "ok" and not row.valid for row in rows),
        "pareto_optimal": sum(row.optimal for row in rows),
    }
    if valid:
        result["best_rank1_mean"] = max(row.rank1 for row in valid if row.rank1 is not None)
        result["least_ms_per_video_second"] = min(row.get("ms_per_video_second") for row in valid)
        if speedups := [row.speedup for row in valid if row.speedup]:
            result["best_speedup"] = max(speedups)
    return result
