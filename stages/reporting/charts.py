"""Interactive charts as Vega specifications (https://vega.github.io/vega), which the page's script draws.

A chart's points come from the table `rows` that the page holds once; its signals `keys` (which variants the filters leave;
null for all) and `active` (the variant under the pointer or the keyboard) are set by the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stages.reporting import words
from stages.reporting.records import COSTS, Row
from stages.reporting.style import COLOURS, GREY, GRID, INK, colours, logarithmic
from stages.reporting.work import Curve

Spec = dict[str, Any]

FEW = 40  # with more variants, only Pareto-optimal ones are labelled
TITLES = {
    "time": "computing time a second of video (ms)",
    "energy": "energy a second of video (mJ)",
    "size": "size of the engine (MB)",
}
SHAPES = {"fp32": "circle", "fp16": "triangle-up", "int8": "square"}
DASHES = {"fp32": [1, 0], "fp16": [6, 3, 1, 3], "int8": [5, 3]}


def points(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """What the charts know of each variant."""
    return [
        {
            "key": row.key,
            "name": row.name,
            "model": row.model,
            "precision": row.precision,
            "percentile": row.percentile,
            "line": f"{row.model} {row.precision}",
            "valid": row.valid,
            "rank1": row.get("accuracy", "rank1_mean"),
            "low": row.get("accuracy", "rank1_mean_low"),
            "high": row.get("accuracy", "rank1_mean_high"),
            "latency": row.get("latency_ms", "p50"),
            **{cost: _shown(row, cost) for cost in COSTS},
            **_time_interval(row),
            "fronts": sorted(row.fronts),
            "text": description(row),
        }
        for row in rows
    ]


def description(row: Row) -> list[str]:
    """A variant in a few lines, for whoever points at it."""
    rank1, low, high = (row.get("accuracy", f"rank1_mean{end}") for end in ("", "_low", "_high"))
    lines = [f"{row.name} on {row.device}: {row.verdict}"]
    if rank1 is not None:
        lines.append(f"mean rank-1 {words.percent(rank1)} % [{words.interval(low, high, 'percent')}]")
    if row.get("latency_ms"):
        p50 = f"p50 {words.significant(row.get('latency_ms', 'p50'))} ms"
        lines.append(f"{p50}, {words.significant(row.get('ms_per_video_second'))} ms a second of video")
        energy = row.get("energy_mj_per_inference")
        if energy is not None:
            lines.append(f"{words.significant(energy)} mJ an inference")
        lines.append(f"engine {words.mega(row.get('size', 'engine_bytes'))} MB; speed-up {words.times(row.speedup)}")
    if row.get("evidence"):
        lines.append(f"{words.EVIDENCE[row.get('evidence')]}, {row.get('data')} data")
    return [*lines, *row.reasons]


def _shown(row: Row, cost: str) -> float | None:
    value = COSTS[cost](row) if row.has(cost) else None
    return value / 1e6 if value is not None and cost == "size" else value


def _time_interval(row: Row) -> dict[str, float | None]:
    p50, low, high = (row.get("latency_ms", key) for key in ("p50", "p50_low", "p50_high"))
    time = _shown(row, "time")
    if time is None or None in (low, high) or not p50:
        return {"time_low": None, "time_high": None}
    return {"time_low": time * low / p50, "time_high": time * high / p50}


def pareto(rows: Sequence[Row], cost: str) -> Spec | None:
    """Rank-1 against a cost, one of COSTS, of one device's rows; None if none of them has that cost."""
    shown = [row for row in rows if row.has(cost)]
    if not shown:
        return None
    of = colours(rows)
    costs: dict[int, float] = {id(row): _shown(row, cost) or 0.0 for row in shown}
    domain, log = _domain(list(costs.values()))

    def staircase(on_front: Iterable[Row], **more: str) -> list[dict[str, Any]]:
        steps = sorted((costs[id(row)], row.get("accuracy", "rank1_mean")) for row in on_front)
        ends = [*steps, (domain[1], steps[-1][1])] if steps else []
        return [{"x": x, "y": y, **more} for x, y in ends]

    own = [
        step
        for model in of
        for step in staircase((r for r in shown if cost in r.own_fronts and r.model == model), model=model)
    ]
    labelled = "true" if len(shown) <= FEW else f"indexof(datum.fronts, '{cost}') >= 0"
    data = [
        {"name": "rows"},
        {"name": "shown", "source": "rows", "transform": [_filter(f"isValid(datum.{cost}) && {VISIBLE}")]},
        {"name": "front", "values": staircase(row for row in shown if cost in row.fronts)},
        {"name": "own", "values": own},
        {"name": "active", "source": "shown", "transform": [_filter("datum.key === active")]},
    ]
    marks = [
        _per("own", "model", {"type": "line", "encode": {"enter": {**_step(), "stroke": _scaled("colour", "model"), "strokeDash": {"value": [2, 3]}}}}),
        {"type": "line", "from": {"data": "front"}, "encode": {"enter": {**_step(), "stroke": {"value": INK}, "strokeWidth": {"value": 1.8}}}},
        _bar({"x": _scaled("x", cost), "y": _scaled("y", "low"), "y2": _scaled("y", "high")}, "isValid(datum.low)"),
        *([_bar({"x": _scaled("x", "time_low"), "x2": _scaled("x", "time_high"), "y": _scaled("y", "rank1")}, "isValid(datum.time_low)")] if cost == "time" else []),
        _symbols(cost, "rank1", f"indexof(datum.fronts, '{cost}') >= 0"),
        _ring(cost, "rank1"),
        {
            "type": "text",
            "from": {"data": "points"},
            "encode": {"enter": {"text": {"signal": f"{labelled.replace('datum.', 'datum.datum.')} ? datum.datum.name : ''"}, "fontSize": {"value": 11}, "fill": {"signal": "scale('colour', datum.datum.model)"}}},
            "transform": [{"type": "label", "size": {"signal": "[width, height]"}, "anchor": ["right", "left", "top", "bottom", "top-right", "bottom-right"], "offset": [6], "padding": 0}],
        },
    ]  # fmt: skip
    scales = [
        _axis_scale("x", "width", domain, log),
        _axis_scale("y", "height", _rank1_domain(shown), False),
        {"name": "colour", "type": "ordinal", "domain": list(of), "range": list(of.values())},
        _shape_scale(rows),
    ]
    axes = [_axis("x", f"{TITLES[cost]}{', log scale' if log else ''}"), _axis("y", "mean rank-1 (%)")]
    return _chart(data, scales, axes, marks, 400, [_legend("fill", "colour"), _legend("shape", "shape")])


def staircase(rows: Sequence[Row]) -> Spec | None:
    """Latency against percentile of one device's rows; None if none of them has a latency."""
    shown = [row for row in rows if row.get("latency_ms", "p50")]
    if not shown:
        return None
    of = colours(rows)
    latencies = [row.get("latency_ms", "p50") for row in shown]
    (low, high), log = _domain(latencies)
    sort = {"field": ["percentile"]}
    data = [
        {"name": "rows"},
        {"name": "shown", "source": "rows", "transform": [_filter(f"isValid(datum.latency) && {VISIBLE}"), {"type": "collect", "sort": sort}]},
        {"name": "active", "source": "shown", "transform": [_filter("datum.key === active")]},
    ]  # fmt: skip
    line = {
        "x": _scaled("x", "percentile"),
        "y": _scaled("y", "latency"),
        "stroke": _scaled("colour", "model"),
        "strokeDash": _scaled("dash", "precision"),
    }
    marks = [
        _per("shown", "line", {"type": "line", "encode": {"update": {**line, "strokeWidth": {"value": 1.4}}}}),
        _symbols("percentile", "latency", "false"),
        _ring("percentile", "latency"),
    ]  # fmt: skip
    precisions = list(dict.fromkeys(row.precision for row in rows))
    scales = [
        _axis_scale("x", "width", [0, max(5, *(row.percentile for row in rows)) * 1.03], False),
        _axis_scale("y", "height", [low if log else 0, high], log),
        {"name": "colour", "type": "ordinal", "domain": list(of), "range": list(of.values())},
        {"name": "dash", "type": "ordinal", "domain": precisions, "range": [DASHES.get(p, [2, 2]) for p in precisions]},
        _shape_scale(rows),
    ]
    axes = [_axis("x", "pruning percentile"), _axis("y", f"latency, p50 (ms{', log scale' if log else ''})")]
    return _chart(data, scales, axes, marks, 300, [_legend("fill", "colour"), _legend("shape", "shape")])


def curves(trainings: Sequence[Curve], metric: str) -> Spec:
    """A metric of the trainings of one model over their steps."""
    shown = [each for each in trainings if metric in each.metrics]
    values = [{"name": each.name, "x": x, "y": y} for each in shown for x, y in each.metrics[metric]]
    names = [each.name for each in trainings]
    line = {
        "x": _scaled("x", "x"),
        "y": _scaled("y", "y"),
        "stroke": _scaled("colour", "name"),
        "strokeWidth": {"value": 1.5},
    }
    marks = [_per("values", "name", {"type": "line", "encode": {"enter": line}})]
    if all(len(each.metrics[metric]) < 15 for each in shown):  # so few that a line may be a single point
        point = {"x": _scaled("x", "x"), "y": _scaled("y", "y"), "fill": _scaled("colour", "name"), "size": {"value": 30}}
        marks.append({"type": "symbol", "from": {"data": "values"}, "encode": {"enter": point}})
    scales = [
        {**_axis_scale("x", "width", {"data": "values", "field": "x"}, False), "zero": True},
        {**_axis_scale("y", "height", {"data": "values", "field": "y"}, False), "nice": True, "zero": False},
        {
            "name": "colour",
            "type": "ordinal",
            "domain": names,
            "range": [COLOURS[n % len(COLOURS)] for n in range(len(names))],
        },
    ]
    axes = [_axis("x", shown[0].counter), _axis("y", metric)]
    return _chart([{"name": "values", "values": values}], scales, axes, marks, 260, [_legend("stroke", "colour")])


VISIBLE = "(!keys || keys[datum.key])"


def _domain(values: Sequence[float]) -> tuple[list[float], bool]:
    """The ends of an axis with some room around the values, and whether it is logarithmic."""
    first, last = min(values), max(values)
    if logarithmic(values):
        margin = (last / first) ** 0.1
        return [first / margin, last * margin], True
    margin = max(0.1 * (last - first), 0.05 * last)
    return [max(0, first - margin), last + margin], False


def _rank1_domain(rows: Sequence[Row]) -> list[float]:
    ends = [row.get("accuracy", f"rank1_mean{end}") for row in rows for end in ("", "_low", "_high")]
    known = [end for end in ends if end is not None]
    room = max(1.0, 0.05 * (max(known) - min(known)))
    return [min(known) - room, max(known) + room]


def _filter(expression: str) -> Spec:
    return {"type": "filter", "expr": expression}


def _scaled(scale: str, field: str) -> Spec:
    return {"scale": scale, "field": field}


def _step() -> Spec:
    return {
        "x": _scaled("x", "x"),
        "y": _scaled("y", "y"),
        "interpolate": {"value": "step-after"},
        "strokeWidth": {"value": 1.1},
    }


def _per(data: str, field: str, mark: Spec) -> Spec:
    """A mark for each group of a table's rows."""
    inner = {**mark, "from": {"data": "group"}}
    return {"type": "group", "from": {"facet": {"name": "group", "data": data, "groupby": field}}, "marks": [inner]}


def _bar(ends: Spec, there: str) -> Spec:
    look = {**ends, "stroke": _scaled("colour", "model"), "strokeWidth": {"value": 1.1}}
    return {
        "type": "rule",
        "from": {"data": "shown"},
        "encode": {"update": {**look, "strokeOpacity": {"signal": f"{there} ? 0.4 : 0"}}},
    }


def _symbols(x: str, y: str, optimal: str) -> Spec:
    """The variants: hollow if invalid, with a dark rim if optimal."""
    colour = "scale('colour', datum.model)"
    look = {
        "x": _scaled("x", x),
        "y": _scaled("y", y),
        "shape": _scaled("shape", "precision"),
        "fill": {"signal": f"datum.valid ? {colour} : 'white'"},
        "stroke": {"signal": f"{optimal} ? '{INK}' : {colour}"},
        "size": {"signal": f"{optimal} ? 80 : 55"},
        "strokeWidth": {"value": 1.4},
        "cursor": {"value": "pointer"},
        "tooltip": {"field": "key"},
    }
    return {
        "type": "symbol",
        "name": "points",
        "from": {"data": "shown"},
        "encode": {"update": {**look, "description": {"signal": "join(datum.text, '; ')"}}},
    }


def _ring(x: str, y: str) -> Spec:
    """Around the active variant."""
    look = {"x": _scaled("x", x), "y": _scaled("y", y), "size": {"value": 330}, "stroke": {"value": INK}}
    more = {"strokeWidth": {"value": 2}, "fill": {"value": "transparent"}}
    return {"type": "symbol", "interactive": False, "from": {"data": "active"}, "encode": {"update": {**look, **more}}}


def _axis_scale(name: str, span: str, domain: Any, log: bool) -> Spec:
    kind = {"type": "log"} if log else {"type": "linear", "zero": False}
    return {"name": name, **kind, "domain": domain, "range": span, "nice": False}


def _shape_scale(rows: Sequence[Row]) -> Spec:
    precisions = list(dict.fromkeys(row.precision for row in rows))
    return {
        "name": "shape",
        "type": "ordinal",
        "domain": precisions,
        "range": [SHAPES.get(p, "diamond") for p in precisions],
    }


def _axis(scale: str, title: str) -> Spec:
    place = (
        {"orient": "bottom", "tickCount": {"signal": "ceil(width / 90)"}}
        if scale == "x"
        else {"orient": "left", "tickCount": 6}
    )
    return {"scale": scale, "title": title, **place, "grid": True, "labelOverlap": True, "labelSeparation": 6}


def _legend(channel: str, scale: str) -> Spec:
    columns = {"signal": "width < 480 ? 3 : 8"}
    symbol = {"symbolFillColor": GREY} if channel == "shape" else {"symbolType": "square" if channel == "fill" else "stroke"}
    return {channel: scale, "orient": "top", "direction": "horizontal", "columns": columns, **symbol}


def _chart(
    data: list[Spec], scales: list[Spec], axes: list[Spec], marks: list[Spec], height: int, legends: list[Spec]
) -> Spec:
    """A chart as wide as its place on the page."""
    width = "max(260, containerSize()[0])"
    resized = [{"events": {"source": "window", "type": "resize"}, "update": width}]
    font = "system-ui, 'DejaVu Sans', sans-serif"
    look: Mapping[str, Any] = {
        "axis": {
            "gridColor": GRID, "domainColor": GREY, "tickColor": GREY, "labelColor": GREY, "titleColor": INK,
            "labelFont": font, "titleFont": font, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal",
        },
        "legend": {"labelFont": font, "labelFontSize": 12, "labelColor": INK, "symbolStrokeWidth": 1.5, "layout": {"top": {"anchor": "start", "direction": "vertical"}}},
        "text": {"font": font},
    }  # fmt: skip
    return {
        "$schema": "https://vega.github.io/schema/vega/v5.json",
        "autosize": {"type": "fit", "contains": "padding", "resize": True},
        "height": height,
        "background": "white",
        "config": look,
        "signals": [
            {"name": "width", "init": width, "on": resized},
            {"name": "keys", "value": None},
            {"name": "active", "value": None},
        ],
        "data": data,
        "scales": scales,
        "axes": axes,
        "legends": legends,
        "marks": marks,
    }
