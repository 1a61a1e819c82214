"""How pictures look: colours, markers, and files that are the same for the same figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gaitpress.results.records import Row

# Okabe and Ito's colours and three of Tol's, which stay apart for colour-blind readers; black is kept for the front.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#882255", "#44AA99", "#999933")
MARKERS = {"fp32": "o", "fp16": "^", "bf16": "v", "int8": "s", "best": "D"}
INK, GREY, GRID = "#25303b", "#5b6672", "#e6eaee"
LOG_FROM = 6  # a wider range than this is shown on a logarithmic axis
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.parse_math": False,  # a board or a model may have a $ in its name
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "svg.hashsalt": "gaitpress",  # the same plot is the same file
}


def colours(rows: Sequence[Row]) -> dict[str, str]:
    """A colour for each model, in the order of the rows."""
    models = dict.fromkeys(row.model for row in rows)
    return {model: COLOURS[position % len(COLOURS)] for position, model in enumerate(models)}


def logarithmic(values: Sequence[float]) -> bool:
    """Whether values, if there are any, are better shown on a logarithmic axis."""
    return bool(values) and min(values) > 0 and max(values) / min(values) > LOG_FROM


def figure(count: int, size: tuple[float, float]) -> tuple[Any, list[Any]]:
    """A figure of ``count`` panels, one below the other, each of a size in inches."""
    made = blank((size[0], size[1] * count))
    return made, [made.add_subplot(count, 1, position + 1) for position in range(count)]


def blank(size: tuple[float, float]) -> Any:
    """A figure of a size in inches, with nothing in it yet."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(size, layout="constrained")
    FigureCanvasAgg(made)
    return made


def save(made: Any, directory: Path, name: str) -> None:
    """Write a figure as <name>.png and <name>.svg."""
    made.savefig(directory / f"{name}.png", dpi=150, metadata={"Software": None})
    made.savefig(directory / f"{name}.svg", metadata={"Date": None, "Creator": None})


def log_axis(axis: Any) -> None:
    """Plain numbers, 1, 2 and 5 of each decade, on an axis that is logarithmic already."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
