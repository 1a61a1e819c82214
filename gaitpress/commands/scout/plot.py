"""The latency staircase as a picture."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from gaitpress.commands.scout.summary import doubts, headline, verdict
from gaitpress.results.style import COLOURS, GREY, INK, STYLE

SHADE = "#eef1f4"


def write_png(path: Path, result: Mapping[str, Any]) -> None:
    """Times with their intervals over the percentile; the part of a tread that buys nothing is shaded."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure((9.6, 5.6), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        figure.suptitle(textwrap.fill(headline(result), 110), fontsize=10, x=0.01, ha="left", color=INK)
        rows = [row for row in result["rows"] if row["latency_ms"]]
        if rows:
            _draw(axes, rows, [row["percentile"] for row in result["rows"] if not row["latency_ms"]])
            said = [textwrap.fill(line, 120) for line in (verdict(result), *doubts(result))]
            figure.supxlabel("\n".join(said), fontsize=9, color=INK)
        else:
            axes.text(0.5, 0.5, "no percentile could be measured", ha="center", transform=axes.transAxes, color=GREY)
            axes.set_axis_off()
        figure.savefig(path, dpi=150, metadata={"Software": None})


def _draw(axes: Any, rows: Sequence[Mapping[str, Any]], failed: Sequence[float]) -> None:
    colour = COLOURS[0]
    xs = [row["percentile"] for row in rows]
    ys = [row["latency_ms"]["p50"] for row in rows]
    below = [row["latency_ms"]["p50"] - row["latency_ms"]["p50_low"] for row in rows]
    above = [row["latency_ms"]["p50_high"] - row["latency_ms"]["p50"] for row in rows]
    worth = [row for row in rows if row["worth"]]
    ends = [*(row["percentile"] for row in worth), 100]
    for row, (start, end) in zip(worth, pairwise(ends), strict=True):
        on = [x for x, other in zip(xs, rows, strict=True) if other["tread"] == row["percentile"]]
        if len(on) > 1:
            axes.axvspan(start, on[-1], color=SHADE, zorder=0, linewidth=0)
        axes.plot([start, end], [row["latency_ms"]["p50"]] * 2, color=INK, linewidth=1.6, zorder=2)
    for before, after in pairwise(worth):
        heights = [row["latency_ms"]["p50"] for row in (before, after)]
        axes.plot([after["percentile"]] * 2, heights, color=INK, linewidth=1.6, zorder=2)
    axes.errorbar(xs, ys, [below, above], fmt="none", ecolor=colour, alpha=0.6, elinewidth=1.2, capsize=3, zorder=3)
    for row, x, y in zip(rows, xs, ys, strict=True):
        face = colour if row["worth"] else "white"
        marker = "s" if row["same_shape_as"] is not None else "o"
        axes.plot([x], [y], marker=marker, markersize=7, markerfacecolor=face, markeredgecolor=colour, zorder=4)
        if row["worth"]:
            speedup = "" if row["percentile"] == 0 or row["speedup"] is None else f"\n{row['speedup']:.2f}×"
            axes.annotate(
                f"{x:g}{speedup}", (x, row["latency_ms"]["p50_high"]), (3, 4), textcoords="offset points", fontsize=9,
                color=INK, fontweight="bold", va="bottom",
            )  # fmt: skip
    top = max(row["latency_ms"]["p50_high"] for row in rows)
    for x in failed:
        axes.plot([x], [0.03 * top], marker="x", color=COLOURS[1], markersize=8, zorder=4)
    axes.set_ylim(0, 1.15 * top)
    axes.set_xlim(-3, 101)
    axes.set_xlabel("pruning percentile")
    axes.set_ylabel("time of an inference, median (ms)")
    axes.grid(True, axis="y", color="#e6eaee", linewidth=0.8)
    axes.set_axisbelow(True)
    _legend(axes, colour, rows, bool(failed))


def _legend(axes: Any, colour: str, rows: Sequence[Mapping[str, Any]], failed: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    def point(label: str, marker: str, face: str) -> Any:
        return Line2D([], [], color=colour, marker=marker, markerfacecolor=face, linestyle="", label=label)

    handles = [point("worth fine-tuning", "o", colour), point("buys nothing", "o", "white")]
    if any(row["same_shape_as"] is not None for row in rows):
        handles.append(point("same shape as a lower percentile", "s", "white"))
    handles.append(Line2D([], [], color=colour, alpha=0.6, label="95 % interval"))
    handles.append(Patch(color=SHADE, label="flat tread"))
    if failed:
        handles.append(Line2D([], [], color=COLOURS[1], marker="x", linestyle="", label="failed"))
    look: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "frameon": False, "fontsize": 9}
    axes.legend(handles=handles, ncols=len(handles), columnspacing=1.2, handlelength=1.6, labelcolor=INK, **look)
