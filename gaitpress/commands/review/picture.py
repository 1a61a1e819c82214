"""Rank-1 against time before and now, one panel for each device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gaitpress import outputs
from gaitpress.results import words
from gaitpress.results.figures import RANK1, TIME
from gaitpress.results.records import Row, by_device
from gaitpress.results.style import GREY, GRID, INK, MARKERS, STYLE, colours, figure, log_axis, logarithmic

FORMER = "#c4cad0"
FEW = 40  # points that have room for their percentiles


def write(path: Path, before: Sequence[Row], now: Sequence[Row]) -> None:
    """Write a PNG file. What was before is grey; a line leads from it to what is now."""
    from matplotlib import rc_context

    old = {row.key: row for row in before if row.plotted}
    devices = by_device([*now, *before])
    shown = colours([*now, *before])
    with rc_context(STYLE):
        drawn, panels = figure(max(1, len(devices)), (9.6, 5.0))
        for panel, listed in zip(panels, devices.values(), strict=False):
            new = [row for row in listed if row.plotted and any(row is present for present in now)]
            gone = [row for row in old.values() if row.device == listed[0].device]
            _draw(panel, gone, new, old, shown)
            panel.set_title(f"{listed[0].device}: {words.data(listed)}, {words.place(listed)}", fontsize=10, loc="left")
        if not devices:
            _nothing(panels[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        with outputs.new_file(path) as partial:
            drawn.savefig(partial, dpi=110, format="png", metadata={"Software": None})


def _draw(axes: Any, gone: Sequence[Row], new: Sequence[Row], old: dict[str, Row], shown: dict[str, str]) -> None:
    from matplotlib.lines import Line2D

    if not (gone or new):
        return _nothing(axes)
    for row in new:
        if row.key in old and _at(old[row.key]) != _at(row):
            (x0, y0), (x1, y1) = _at(old[row.key]), _at(row)
            axes.plot([x0, x1], [y0, y1], color=GREY, linewidth=0.8, zorder=2)
    for rows, fill, edge, size, height in ((gone, None, GREY, 6, 3), (new, shown, INK, 8, 4)):
        for row in rows:
            face = (fill[row.model] if row.valid else "white") if fill else FORMER
            look = {"marker": MARKERS[row.precision], "markersize": size, "zorder": height}
            axes.plot(*_at(row), markerfacecolor=face, markeredgecolor=fill[row.model] if fill else edge, **look)
    for row in new if len(new) <= FEW else ():
        axes.annotate(f"p{row.percentile}", _at(row), xytext=(6, 5), textcoords="offset points", fontsize=8, color=INK)
    if logarithmic([_at(row)[0] for row in (*gone, *new)]):
        axes.set_xscale("log")
        log_axis(axes.xaxis)
    axes.margins(0.1)
    axes.set_xlabel(f"{TIME.title} ({TIME.unit}); further left is faster")
    axes.set_ylabel(RANK1.labelled)
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    models = dict.fromkeys(row.model for row in new)
    handles = [Line2D([], [], color=shown[model], linestyle="", marker="o", label=f"{model} now") for model in models]
    handles += [Line2D([], [], color=FORMER, markeredgecolor=GREY, linestyle="", marker="o", label="before")]
    precisions = dict.fromkeys(row.precision for row in (*new, *gone))
    handles += [Line2D([], [], color=GREY, linestyle="", marker=MARKERS[name], label=name) for name in precisions]
    axes.legend(handles=handles, frameon=False, fontsize=9, loc="best")


def _at(row: Row) -> tuple[float, float]:
    return TIME.of(row), row.rank1


def _nothing(axes: Any) -> None:
    axes.text(0.5, 0.5, "no variant was measured", ha="center", transform=axes.transAxes, color=GREY)
    axes.set_axis_off()
