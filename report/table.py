"""The variants as text for a terminal, as CSV and as flat metrics."""

from __future__ import annotations

import csv
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gaitpress.params.select import Select
from gaitpress.results import digits, figures, words
from gaitpress.results.machines import machines
from gaitpress.results.records import Condition, Row, by_device, of_condition
from report import answers

WIDTH = 110
MANY = 40  # variants of a device, or networks of a machine, of which a terminal gets only the best
# The figures of the table on the terminal, by their short titles.
SHOWN = {figures.LATENCY: "p50 ms", figures.TIME: "ms/video s", figures.SPEEDUP: "speed-up", figures.SIZE: "MB"}
# The columns that name and judge a variant, before its figures; then those that say whose figures they are.
NAMES = ("model", "percentile", "precision", "device", "status", "valid", "reasons", "pareto_optimal", "same_as")
EVIDENCE = ("dataset", "data", "evidence")
COLUMNS = (
    *(*NAMES, *EVIDENCE),
    *(figure.name for figure in figures.RATES),
    "distance",
    *(figure.name for figure in figures.MEASURED),
    "measured_at",
)


def text(rows: Sequence[Row], select: Select, brief: bool = False) -> str:
    """All variants, at most 110 columns wide; Pareto-optimal ones are marked with an asterisk.

    Args:
        rows: the variants.
        select: the budget within which the fastest ones are named.
        brief: whether to leave out, where there are many, those that are not Pareto-optimal, and say how many they are.
    """
    lines = []
    best = answers.by_device(rows, select)
    for device, listed in by_device(rows).items():
        dataset = next((row.get("variant", "dataset") for row in listed if row.get("variant")), "")
        head = f"{device}: {dataset} ({words.data(listed)}), {words.place(listed)}, {words.runtime(listed)}"
        kept = [row for row in listed if row.optimal] if brief and len(listed) > MANY else listed
        lines += [*textwrap.wrap(head, WIDTH, break_on_hyphens=False), "", *_grid(kept)]
        lines += [*([f"and {len(listed) - len(kept)} variants that are not Pareto-optimal"] if kept != listed else []), ""]
        if named := best[device]:
            lines += [f"Fastest {answers.budget(select)}:"]
            for name, phrase in named:
                lines += ["  " + line for line in textwrap.wrap(f"{name}, {phrase}", WIDTH - 2, break_on_hyphens=False)]
            lines += [""]
    for machine in machines(rows):
        lines += [*textwrap.wrap(f"Fastest on {machine.name}:", WIDTH)]
        known = [(network, network.fastest) for network in machine.networks if network.fastest]
        shown = known[:MANY] if brief else known
        for network, fastest in shown:
            ahead = f", {digits.times(network.ahead)} as fast as the best of the next device" if network.ahead else ""
            without = [device for device, best_there in network.best.items() if best_there is None]
            unknown = f"; no valid times on {', '.join(without)}" if without else ""
            where = f"{fastest.precision} on {fastest.device}"
            lines += [f"  {network.name}: {where}, {figures.LATENCY.text(fastest)} ms{ahead}{unknown}"]
        lines += [*([f"  and {len(known) - len(shown)} more networks"] if len(shown) < len(known) else []), ""]
    lines += [
        "* Pareto-optimal: none has both a higher mean and fewer ms/video s.",
        f"Rank-1 in %, [95 % interval]. {digits.DASH} unknown.",
        *textwrap.wrap(f"Rank-1 by {words.distance(rows)}: {words.counts(rows)}.", WIDTH, break_on_hyphens=False),
        "p50: median ms of a query. ms/video s: computing time a second of video. Speed-up: of p50 against p0 fp32.",
    ]
    return "\n".join(lines) + "\n"


def _grid(rows: Sequence[Row]) -> list[str]:
    conditions = words.conditions(rows)
    head = ("", "variant", "mean", "[95 %]", *(kind.title for kind in conditions), *SHOWN.values(), "status")
    cells = [head, *(_cells(row, conditions) for row in rows)]
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


def _cells(row: Row, conditions: Sequence[Condition]) -> tuple[str, ...]:
    shown = row.shown
    return (
        "*" if row.optimal else " ",
        textwrap.shorten(row.name, 28, placeholder="..."),
        figures.RANK1.text(shown),
        f"[{digits.interval(*shown.rank1_interval, 'percent')}]",
        *(digits.percent(shown.rank1_of(kind).get("rate")) for kind in conditions),
        *(figure.text(shown) for figure in SHOWN),
        "" if row.verdict in ("Pareto-optimal", "valid") else row.verdict,
    )


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write a line for each variant and a column for each figure, empty where unknown.

    A ``best`` that stands for another variant has that variant's figures, which ``same_as`` names, and is neither valid nor
    optimal itself: it has no engine of its own.
    Only a condition's columns have a slash in their names, such as "rank1/nm" and "rank1_low/nm".
    """
    conditions = words.conditions(rows)
    columns = [*COLUMNS, *(name for condition in conditions for name in of_condition(condition, {}))]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            values = _values(row, conditions)
            writer.writerow([values[column] for column in columns])


def _values(row: Row, conditions: Sequence[Condition]) -> dict[str, Any]:
    """A variant's line of the CSV file, by column."""
    shown = row.shown
    values = {
        **{name: getattr(row, name) for name in ("model", "percentile", "precision", "device", "status", "valid")},
        "reasons": "; ".join(row.reasons),
        "pareto_optimal": row.optimal,
        "same_as": row.same_as.precision if row.same_as else None,
        "dataset": shown.get("variant", "dataset"),
        **{name: shown.get(name) for name in ("data", "evidence", "measured_at")},
        "distance": shown.get("accuracy", "distance"),
        **{figure.name: figure.of(shown) for figure in (*figures.RATES, *figures.MEASURED)},
    }
    for condition in conditions:
        values |= of_condition(condition, shown.rank1_of(condition))
    return values


def main_figures(rows: Sequence[Row]) -> dict[str, Any]:
    """The main figures of the measured variants by device, model and variant, nested for DVC's metrics."""
    nested: dict[str, Any] = {}
    for row in rows:
        if row.status == "ok":
            values = {figure.name: figure.of(row) for figure in figures.MAIN}
            known_values = {name: value for name, value in values.items() if value is not None}
            variant = f"p{row.percentile}-{row.precision}"
            nested.setdefault(row.device, {}).setdefault(row.model, {})[variant] = known_values
    return nested


def metrics(rows: Sequence[Row]) -> dict[str, float]:
    """How many variants have each status, and the best figures of the valid variants."""
    valid = [row for row in rows if row.valid and row.plotted]
    result: dict[str, float] = {
        "variants": len(rows),
        **{status: sum(row.status == status for row in rows) for status in ("ok", "failed", "skipped", "missing")},
        "invalid": sum(row.status == "ok" and not row.valid for row in rows),
        "pareto_optimal": sum(row.optimal for row in rows),
    }
    if valid:
        result["best_rank1_mean"] = max(row.rank1 for row in valid if row.rank1 is not None)
        result["least_ms_per_video_second"] = min(figures.TIME.of(row) for row in valid)
        if speedups := [row.speedup for row in valid if row.speedup]:
            result["best_speedup"] = max(speedups)
    return result
