"""The latency staircase as a picture: latency against the pruning percentile, one panel a device."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from gaitpress.results import words
from gaitpress.results.figures import LATENCY
from gaitpress.results.records import Row, by_device
from gaitpress.results.style import GREY, GRID, INK, MARKERS, STYLE, colours, figure, log_axis, logarithmic, save

DASHES = {"fp32": "-", "fp16": "-.", "bf16": (0, (6, 3)), "int8": "--", "best": ":"}


def write(directory: Path, rows: Sequence[Row]) -> None:
    """staircase.png and staircase.svg: a line for each model and precision, hollow where times are invalid."""
    from matplotlib import rc_context

    devices = by_device(rows)
    with rc_context(STYLE):
        drawn, panels = figure(len(devices), (9.6, 4.6))
        for panel, own in zip(panels, devices.values(), strict=True):
            _draw(panel, own)
            head = f"{own[0].device}: {words.place(own)}"
            panel.set_title(head, fontsize=10, loc="left", color=INK)
        save(drawn, directory, "staircase")


def _draw(axes: Any, rows: Sequence[Row]) -> None:
    timed = [row for row in rows if LATENCY.of(row)]
    if not timed:
        axes.text(0.5, 0.5, "no variant was measured", ha="center", transform=axes.transAxes, color=GREY)
        axes.set_axis_off()
        return
    of = colours(rows)
    timed.sort(key=lambda row: (list(of).index(row.model), row.precision, row.percentile))
    for (model, precision), group in groupby(timed, key=lambda row: (row.model, row.precision)):
        line = list(group)
        xs, ys = [row.percentile for row in line], [LATENCY.of(row) for row in line]
        dashes, marker = DASHES[precision], MARKERS[precision]
        look: dict[str, Any] = {"color": of[model], "marker": marker, "markersize": 6}
        axes.plot(xs, ys, color=of[model], linestyle=dashes, linewidth=1.3)
        for x, y, row in zip(xs, ys, line, strict=True):
            axes.plot([x], [y], markerfacecolor=of[model] if row.valid else "white", **look)
        axes.plot([], [], linestyle=dashes, label=f"{model} {precision}", **look)
    if any(not row.valid for row in timed):
        axes.plot([], [], color=GREY, marker="o", markerfacecolor="white", linestyle="", label="invalid times")
    if logarithmic([LATENCY.of(row) for row in timed]):
        axes.set_yscale("log")
        log_axis(axes.yaxis)
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel("pruning percentile")
    axes.set_ylabel("latency, median of a query (ms)")
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9, labelcolor=INK)
