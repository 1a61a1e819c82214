"""The parts that our charts are made of, as pieces of a Vega specification (https://vega.github.io/vega/docs)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

from gaitpress.results.records import Row
from gaitpress.results.style import GREY, GRID, INK, logarithmic

Spec = dict[str, Any]

SHAPES = {"fp32": "circle", "fp16": "triangle-up", "bf16": "triangle-down", "int8": "square", "best": "diamond"}
DASHES = {"fp32": [1, 0], "fp16": [6, 3, 1, 3], "bf16": [6, 3], "int8": [5, 3], "best": [1, 3]}
FONT = "system-ui, 'DejaVu Sans', sans-serif"
AXIS = {
    "gridColor": GRID,
    "domainColor": GREY,
    "tickColor": GREY,
    "labelColor": GREY,
    "titleColor": INK,
    "labelFont": FONT,
    "titleFont": FONT,
    "labelFontSize": 12,
    "titleFontSize": 12,
    "titleFontWeight": "normal",
}
LEGEND = {
    "labelFont": FONT,
    "labelFontSize": 12,
    "labelColor": INK,
    "symbolStrokeWidth": 1.5,
    "layout": {"top": {"anchor": "start", "direction": "vertical"}},
}
# As wide as its place on the page, which the browser may change.
WIDTH = "max(260, containerSize()[0])"
PERCENTS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 40, 60, 80, 90, 95, 98, 99, 99.5, 99.9)  # on normal deviates
ANCHORS = ["top-right", "bottom-right", "top-left", "bottom-left", "top", "bottom", "right", "left"]


def chart(
    data: list[Spec], scales: list[Spec], axes: list[Spec], marks: list[Spec], legends: list[Spec], height: int
) -> Spec:
    """A whole chart, ``height`` pixels high. The page sets its signals ``keys`` and ``active``."""
    resized = [{"events": {"source": "window", "type": "resize"}, "update": WIDTH}]
    return {
        "$schema": "https://vega.github.io/schema/vega/v5.json",
        "autosize": {"type": "fit", "contains": "padding", "resize": True},
        "padding": 4,
        "height": height,
        "background": "transparent",
        "config": {"axis": AXIS, "legend": LEGEND, "text": {"font": FONT}},
        "signals": [
            {"name": "width", "init": WIDTH, "on": resized},
            {"name": "keys", "value": None},
            {"name": "active", "value": None},
        ],
        "data": data,
        "scales": scales,
        "axes": axes,
        "legends": legends,
        "marks": marks,
    }


def shown(present: str, *more: Spec) -> list[Spec]:
    """The tables ``rows``, which the page fills; ``shown``, those with a field that the filters leave; and ``active``."""
    visible = f"isValid(datum.{present}) && (!keys || keys[datum.key])"
    return [
        {"name": "rows"},
        {"name": "shown", "source": "rows", "transform": [filtered(visible), *more]},
        {"name": "active", "source": "shown", "transform": [filtered("datum.key === active")]},
    ]


def filtered(expression: str) -> Spec:
    return {"type": "filter", "expr": expression}


def scaled(scale: str, field: str) -> Spec:
    """A field's value on a scale."""
    return {"scale": scale, "field": field}


def mark(kind: str, data: str, look: Spec, **more: Any) -> Spec:
    """A mark for each row of a table, never outside the chart's frame."""
    return {"type": kind, "clip": True, "from": {"data": data}, "encode": {"update": look}, **more}


def staircase(data: str, look: Spec, **more: Any) -> Spec:
    """Between two optimal points the slower has to be paid for in full, so a front is a staircase."""
    ends = {"x": scaled("x", "x"), "y": scaled("y", "y"), "interpolate": {"value": "step-after"}}
    return mark("line", data, ends | look, **more)


def per(data: str, field: str, inner: Spec) -> Spec:
    """A mark for each group of a table's rows; not cut at the frame, for a group has none."""
    facet = {"facet": {"name": "group", "data": data, "groupby": field}}
    return {"type": "group", "from": facet, "marks": [{**inner, "from": {"data": "group"}, "clip": False}]}


def bar(ends: Spec, there: str) -> Spec:
    """An interval, where its ends are known."""
    opacity = {"signal": f"isValid(datum.{there}) ? 0.4 : 0"}
    look = {"stroke": scaled("colour", "model"), "strokeWidth": {"value": 1.1}, "strokeOpacity": opacity}
    return mark("rule", "shown", ends | look)


def symbols(x: str, y: str, optimal: str, data: str = "shown", solid: str = "datum.valid") -> Spec:
    """The variants: hollow unless the expression ``solid`` holds, with a dark rim where ``optimal`` does."""
    colour = "scale('colour', datum.model)"
    look = {
        "x": scaled("x", x),
        "y": scaled("y", y),
        "shape": scaled("shape", "precision"),
        "fill": {"signal": f"{solid} ? {colour} : 'white'"},
        "stroke": {"signal": f"{optimal} ? '{INK}' : {colour}"},
        "size": {"signal": f"{optimal} ? 80 : 55"},
        "strokeWidth": {"value": 1.4},
        "cursor": {"value": "pointer"},
        "tooltip": {"field": "key"},
        "description": {"signal": "join(datum.text, '; ')"},
    }
    return mark("symbol", data, look, name="points")


def ring(x: str, y: str) -> Spec:
    """Around the active variant."""
    place = {"x": scaled("x", x), "y": scaled("y", y), "size": {"value": 330}}
    look = {"stroke": {"value": INK}, "strokeWidth": {"value": 2}, "fill": {"value": "transparent"}}
    return mark("symbol", "active", place | look, interactive=False)


def names(condition: str, *avoided: str) -> list[Spec]:
    """The names of the variants for which a condition holds, where they cover neither each other nor a point.

    Args:
        condition: an expression.
        avoided: further marks that they do not cover, by their names.
    """
    colour = "hcl(scale('colour', datum.datum.model))"
    look = {
        "text": {"signal": f"{condition.replace('datum.', 'datum.datum.')} ? datum.datum.name : ''"},
        "fontSize": {"value": 11},
        "fill": {"signal": f"hcl({colour}.h, {colour}.c, min({colour}.l, 47))"},  # light colours are too pale for text
    }
    label = {"type": "label", "size": {"signal": "[width, height]"}, "anchor": ANCHORS, "offset": [4], "padding": 0}
    label |= {"avoidMarks": list(avoided)}
    # Paper around the letters, over lines: a letter's own stroke would be drawn over the letter.
    paper = {"stroke": {"value": "white"}, "strokeWidth": {"value": 3}, "strokeJoin": {"value": "round"}}
    placed = ("x", "y", "text", "align", "baseline", "fontSize", "fill", "opacity")
    return [
        {
            "type": "text",
            "name": "names",
            "from": {"data": "points"},
            "encode": {"update": look | paper},
            "transform": [label],
        },
        {
            "type": "text",
            "from": {"data": "names"},
            "interactive": False,
            "encode": {"update": {field: {"field": field} for field in placed}},
        },
    ]


def room_around(values: Sequence[float]) -> tuple[list[float], bool]:
    """The ends of an axis with some room around the values, and whether it is logarithmic."""
    first, last = min(values), max(values)
    if logarithmic(values):
        margin = (last / first) ** 0.1
        return [first / margin, last * margin], True
    margin = max(0.1 * (last - first), 0.05 * last)
    return [max(0, first - margin), last + margin], False


def position(name: str, domain: Any, log: bool = False, **more: Any) -> Spec:
    """The scale of an axis, "x" or "y"."""
    kind = {"type": "log"} if log else {"type": "linear", "zero": False}
    return {"name": name, **kind, "domain": domain, "range": "width" if name == "x" else "height", "nice": False, **more}


def ticks(domain: Sequence[float]) -> list[float]:
    """1, 2 and 5 of each decade, for a logarithmic axis."""
    decades = range(math.floor(math.log10(domain[0])), math.ceil(math.log10(domain[1])))
    return [
        digit * 10.0**decade for decade in decades for digit in (1, 2, 5) if domain[0] <= digit * 10.0**decade <= domain[1]
    ]


def colour(of: dict[str, str]) -> Spec:
    return {"name": "colour", "type": "ordinal", "domain": list(of), "range": list(of.values())}


def shape(rows: Sequence[Row]) -> Spec:
    precisions = list(dict.fromkeys(row.precision for row in rows))
    return {
        "name": "shape",
        "type": "ordinal",
        "domain": precisions,
        "range": [SHAPES[p] for p in precisions],
    }


def dash(rows: Sequence[Row]) -> Spec:
    precisions = list(dict.fromkeys(row.precision for row in rows))
    return {"name": "dash", "type": "ordinal", "domain": precisions, "range": [DASHES[p] for p in precisions]}


def axis(scale: str, title: str, **more: Any) -> Spec:
    place = (
        {"orient": "bottom", "tickCount": {"signal": "ceil(width / 90)"}}
        if scale == "x"
        else {"orient": "left", "tickCount": 6}
    )
    look = {"grid": True, "labelOverlap": True, "labelSeparation": 6}
    return {"scale": scale, "title": title, **place, **look, **more}


def deviate(rate: float) -> float:
    """The place of a rate in %, neither 0 nor 100, on an axis of normal deviates."""
    return NormalDist().inv_cdf(rate / 100)


def deviates(**fields: str) -> list[Spec]:
    """Transforms that add such places to a table: of each rate in ``fields``, by the name of the new field."""
    return [{"type": "formula", "expr": f"quantileNormal(datum.{rate} / 100)", "as": name} for name, rate in fields.items()]


def deviate_axis(scale: str, title: str, domain: Sequence[float]) -> Spec:
    places = [place for place in map(deviate, PERCENTS) if domain[0] <= place <= domain[1]]
    text = {"signal": "format(100 * cumulativeNormal(datum.value), '.4~g')"}
    look = {"values": places, "tickCount": len(places), "encode": {"labels": {"update": {"text": text}}}}
    return axis(scale, f"{title}, normal deviate scale", **look)


def note(expression: str) -> Spec:
    """What an expression writes above the right end of a chart's frame, beside the legends."""
    place = {"x": {"signal": "width"}, "y": {"value": -8}, "align": {"value": "right"}}
    look = {"text": {"signal": expression}, "fontSize": {"value": 12}, "fill": {"value": GREY}}
    return {"type": "text", "encode": {"update": place | look}}


def legend(channel: str, scale: str) -> Spec:
    columns = {"signal": "width < 480 ? 2 : 8"}
    symbol = {"symbolFillColor": GREY} if channel == "shape" else {"symbolType": "square" if channel == "fill" else "stroke"}
    return {channel: scale, "orient": "top", "direction": "horizontal", "columns": columns, **symbol}
