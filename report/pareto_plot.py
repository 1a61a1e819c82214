"""The Pareto plot as a picture: rank-1 against computing time a second of video, one panel for each device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gaitpress.results import words
from gaitpress.results.figures import RANK1, TIME
from gaitpress.results.records import Row, by_device
from gaitpress.results.style import GREY, GRID, INK, MARKERS, STYLE, colours, figure, log_axis, logarithmic, save
from report.labels import Label, place_labels
from report.points import FEW, Point, point, span, staircase

IN_A_ROW = 8  # entries of the legend


def write(directory: Path, rows: Sequence[Row]) -> None:
    """Write pareto.png and pareto.svg, with a panel for each device."""
    from matplotlib import rc_context

    devices = by_device(rows)
    with rc_context(STYLE):
        drawn, panels = figure(len(devices), (9.6, 5.6))
        labels = []
        for panel, listed in zip(panels, devices.values(), strict=True):
            labels.append(_draw(panel, listed))
            head = f"{listed[0].device}: {words.data(listed)}, {words.place(listed)}"
            legend = panel.get_legend()
            pad = 48 if legend and len(legend.legend_handles) > IN_A_ROW else 30
            panel.set_title(head, fontsize=10, loc="left", color=INK, pad=pad)
        _finish(drawn, panels, labels)
        save(drawn, directory, "pareto")


def _finish(drawn: Any, panels: Sequence[Any], labels: Sequence[Sequence[Label]]) -> None:
    """Place the labels last: where they fit depends on the place of the axes."""
    drawn.draw_without_rendering()
    drawn.set_layout_engine("none")  # the saved layout is the one that the labels fit
    for panel, panel_labels in zip(panels, labels, strict=True):
        place_labels(panel, panel_labels)


def _draw(axes: Any, rows: Sequence[Row]) -> list[Label]:
    places = {row.key: place for row in rows if (place := point(row, "time"))}
    shown = [row for row in rows if row.key in places]
    if not shown:
        axes.text(0.5, 0.5, "no variant was measured", ha="center", transform=axes.transAxes, color=GREY)
        axes.set_axis_off()
        return []
    model_colours = colours(rows)
    _axes(axes, list(places.values()))
    for model, colour in model_colours.items():
        model_front = [places[row.key] for row in shown if "time" in row.own_fronts and row.model == model]
        _staircase(axes, model_front, colour, 1.0, ":")
    _staircase(axes, [places[row.key] for row in shown if row.optimal], INK, 1.6, "-")
    for row in shown:
        _point(axes, row, places[row.key], model_colours[row.model])
    _legend(axes, shown, model_colours)
    labelled = [row for row in shown if row.optimal or len(shown) <= FEW]
    return [Label(places[row.key].x, places[row.key].y, row.name, model_colours[row.model], row.optimal) for row in labelled]


def _axes(axes: Any, points: Sequence[Point]) -> None:
    times = [place.x for place in points]
    bottom, top = span(points)
    room = max(1.0, 0.08 * (top - bottom))
    axes.set_ylim(bottom - room, top + room)
    first, last = min(times), max(times)
    if logarithmic(times):
        axes.set_xscale("log")
        log_axis(axes.xaxis)
        margin = (last / first) ** 0.12
        axes.set_xlim(first / margin, last * margin)
    else:
        margin = max(0.14 * (last - first), 0.05 * last)
        axes.set_xlim(max(0, first - margin), last + margin)
    scale = ", log scale" if axes.get_xscale() == "log" else ""
    axes.set_xlabel(f"{TIME.title} ({TIME.unit}{scale}); further left is faster")
    axes.set_ylabel(RANK1.labelled)
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def _staircase(axes: Any, points: Sequence[Point], colour: str, width: float, dashes: str) -> None:
    if corners := staircase(points, axes.get_xlim()[1]):
        xs, ys = zip(*corners, strict=True)
        axes.step(xs, ys, where="post", color=colour, linewidth=width, linestyle=dashes, zorder=2)


def _point(axes: Any, row: Row, place: Point, colour: str) -> None:
    look = {"color": colour, "alpha": 0.45, "linewidth": 1.1, "zorder": 3, "solid_capstyle": "butt"}
    if place.low is not None and place.high is not None:
        axes.plot([place.x, place.x], [place.low, place.high], **look)
    if place.left is not None and place.right is not None:
        axes.plot([place.left, place.right], [place.y, place.y], **look)
    axes.plot(
        [place.x],
        [place.y],
        marker=MARKERS[row.precision],
        markersize=8.5 if row.optimal else 7,
        markerfacecolor=colour if row.valid else "white",
        markeredgecolor=INK if row.optimal else colour,
        markeredgewidth=1.4,
        zorder=5,
    )


def _legend(axes: Any, shown: Sequence[Row], model_colours: dict[str, str]) -> None:
    from matplotlib.lines import Line2D

    used = {row.model for row in shown}
    handles = [
        Line2D([], [], color=colour, linewidth=5, label=model) for model, colour in model_colours.items() if model in used
    ]
    for precision in dict.fromkeys(row.precision for row in shown):
        handles.append(Line2D([], [], color=GREY, marker=MARKERS[precision], linestyle="", label=precision))
    if not all(row.valid for row in shown):
        handles.append(Line2D([], [], color=GREY, marker="o", markerfacecolor="white", linestyle="", label="invalid times"))
    handles.append(Line2D([], [], color=INK, linewidth=1.6, label="Pareto front"))
    if len(used) > 1:
        handles.append(Line2D([], [], color=GREY, linewidth=1.0, linestyle=":", label="front of a model"))
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=min(len(handles), IN_A_ROW),
        frameon=False,
        fontsize=9,
        handlelength=1.6,
        columnspacing=1.2,
        borderpad=0.2,
        labelcolor=INK,
    )
