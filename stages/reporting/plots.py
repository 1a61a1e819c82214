"""Pareto plots: rank-1 against computing time a second of video, one panel a device."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from stages.reporting import words
from stages.reporting.labels import Label, place_labels
from stages.reporting.records import Row, by_device

T = TypeVar("T")

# Okabe and Ito's colours, which stay apart for colour-blind readers; black is kept for the front.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = {"fp32": "o", "fp16": "^", "int8": "s"}
LOG_FROM = 6  # a wider range than this is shown on a logarithmic axis
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#5b6672",
    "axes.labelcolor": "#25303b",
    "xtick.color": "#5b6672",
    "ytick.color": "#5b6672",
    "svg.hashsalt": "gaitpress",  # the same plot is the same file
}


def _styled(draw: Callable[..., T]) -> Callable[..., T]:
    """Draw in our style, and leave matplotlib's settings as they were."""

    @wraps(draw)
    def drawn(*args: Any, **kwargs: Any) -> T:
        from matplotlib import rc_context

        with rc_context(STYLE):
            return draw(*args, **kwargs)

    return drawn


@_styled
def write_png(path: Path, rows: Sequence[Row]) -> None:
    """One picture with a panel a device."""
    devices = by_device(rows)
    figure, panels = _figure(len(devices), (9.6, 5.6))
    labels = []
    for panel, own in zip(panels, devices.values(), strict=True):
        labels.append(_draw(panel, own, short=False))
        head = f"{own[0].device}: {words.data(own)}, {words.place(own)}"
        panel.set_title(head, fontsize=10, loc="left", color="#25303b", pad=30)
    _finish(figure, panels, labels)
    figure.savefig(path, dpi=150, metadata={"Software": None})


@_styled
def svg(rows: Sequence[Row], narrow: bool) -> str:
    """The panel of one device's rows as an <svg> element, drawn for a wide or a narrow screen."""
    figure, panels = _figure(1, (4.4, 5.0) if narrow else (9.6, 5.2))
    _finish(figure, panels, [_draw(panels[0], rows, short=narrow)])
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    element = buffer.getvalue()[buffer.getvalue().index("<svg") :]
    # Ids are unique in a file, not in a page that holds several plots.
    mark = f"{rows[0].device}-{'narrow' if narrow else 'wide'}-"
    element = re.sub(r'( id="|href="#|url\(#)', lambda found: found.group(1) + mark, element)
    label = f"Rank-1 against time on {rows[0].device}; the table below has the same figures"
    return element.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)


def _figure(count: int, size: tuple[float, float]) -> tuple[Any, list[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((size[0], size[1] * count), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(count, 1, position + 1) for position in range(count)]


def _finish(figure: Any, panels: Sequence[Any], labels: Sequence[Sequence[Label]]) -> None:
    """Labels go last: where they fit is known only once the axes have their place."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # what is saved is what the labels were placed in
    for panel, own in zip(panels, labels, strict=True):
        place_labels(panel, own)


def _draw(axes: Any, rows: Sequence[Row], short: bool) -> list[Label]:
    shown = [row for row in rows if row.plotted]
    if not shown:
        axes.text(0.5, 0.5, "no variant was measured", ha="center", transform=axes.transAxes, color="#5b6672")
        axes.set_axis_off()
        return []
    models = list(dict.fromkeys(row.model for row in rows))
    colours = {model: COLOURS[position % len(COLOURS)] for position, model in enumerate(models)}
    _axes(axes, shown, short)
    for model in models:
        _staircase(axes, [row for row in shown if row.own_optimal and row.model == model], colours[model], 1.0, ":")
    _staircase(axes, [row for row in shown if row.optimal], "#25303b", 1.6, "-")
    for row in shown:
        _point(axes, row, colours[row.model])
    _legend(axes, shown, colours, short)
    return [Label(*_xy(row), row.short_name if short else row.name, colours[row.model], row.optimal) for row in shown]


def _xy(row: Row) -> tuple[float, float]:
    return row.get("ms_per_video_second"), row.get("accuracy", "rank1_mean")


def _axes(axes: Any, shown: Sequence[Row], short: bool) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    times, ranks = zip(*(_xy(row) for row in shown), strict=True)
    lows = [row.get("accuracy", "rank1_mean_low") for row in shown]
    highs = [row.get("accuracy", "rank1_mean_high") for row in shown]
    bottom, top = (
        min([*ranks, *(low for low in lows if low is not None)]),
        max([*ranks, *(h for h in highs if h is not None)]),
    )
    room = max(1.0, 0.08 * (top - bottom))
    axes.set_ylim(bottom - room, top + room)
    first, last = min(times), max(times)
    if last / first > LOG_FROM:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        margin = (last / first) ** 0.12
        axes.set_xlim(first / margin, last * margin)
    else:
        margin = max(0.14 * (last - first), 0.05 * last)
        axes.set_xlim(max(0, first - margin), last + margin)
    scale = ", log scale" if axes.get_xscale() == "log" else ""
    hint = "" if short else "; further left is faster"
    axes.set_xlabel(f"computing time a second of video (ms{scale}){hint}")
    axes.set_ylabel("mean rank-1 (%)")
    axes.grid(True, color="#e6eaee", linewidth=0.8)
    axes.set_axisbelow(True)


def _staircase(axes: Any, rows: Sequence[Row], colour: str, width: float, dashes: str) -> None:
    """Between two optimal points the slower has to be paid for in full, so the front is a staircase."""
    points = sorted(_xy(row) for row in rows)
    if points:
        ends = [*points, (axes.get_xlim()[1], points[-1][1])]
        xs, ys = zip(*ends, strict=True)
        axes.step(xs, ys, where="post", color=colour, linewidth=width, linestyle=dashes, zorder=2)


def _point(axes: Any, row: Row, colour: str) -> None:
    x, y = _xy(row)
    low, high = row.get("accuracy", "rank1_mean_low"), row.get("accuracy", "rank1_mean_high")
    fast, slow = row.get("latency_ms", "p50_low"), row.get("latency_ms", "p50_high")
    p50 = row.get("latency_ms", "p50")
    look = {"color": colour, "alpha": 0.45, "linewidth": 1.1, "zorder": 3, "solid_capstyle": "butt"}
    if low is not None and high is not None:
        axes.plot([x, x], [low, high], **look)
    if None not in (fast, slow, p50):
        axes.plot([x * fast / p50, x * slow / p50], [y, y], **look)
    axes.plot(
        [x],
        [y],
        marker=MARKERS.get(row.precision, "D"),
        markersize=8.5 if row.optimal else 7,
        markerfacecolor=colour if row.valid else "white",
        markeredgecolor="#25303b" if row.optimal else colour,
        markeredgewidth=1.4,
        zorder=5,
    )


def _legend(axes: Any, shown: Sequence[Row], colours: dict[str, str], short: bool) -> None:
    from matplotlib.lines import Line2D

    used = {row.model for row in shown}
    grey = "#5b6672"
    handles = [Line2D([], [], color=colour, linewidth=5, label=model) for model, colour in colours.items() if model in used]
    for precision in dict.fromkeys(row.precision for row in shown):
        handles.append(Line2D([], [], color=grey, marker=MARKERS.get(precision, "D"), linestyle="", label=precision))
    if not all(row.valid for row in shown):
        handles.append(Line2D([], [], color=grey, marker="o", markerfacecolor="white", linestyle="", label="invalid times"))
    handles.append(Line2D([], [], color="#25303b", linewidth=1.6, label="Pareto front"))
    if len(used) > 1:
        handles.append(Line2D([], [], color=grey, linewidth=1.0, linestyle=":", label="front of a model"))
    columns = math.ceil(len(handles) / 2) if short else len(handles)
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=columns,
        frameon=False,
        fontsize=8 if short else 9,
        handlelength=1.6,
        columnspacing=1.2,
        borderpad=0.2,
        labelcolor="#25303b",
    )
