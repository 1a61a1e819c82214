"""The page's interactive charts: the data of each variant, and their Vega specifications."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gaitpress.results import digits, words
from gaitpress.results.figures import (
    COSTS,
    ENERGY,
    LATENCY,
    LOSS,
    LOSS_HIGH,
    LOSS_LOW,
    PEOPLE,
    PROBES,
    RANK1,
    SIZE,
    SPEEDUP,
    TIME,
)
from gaitpress.results.records import Row
from gaitpress.results.style import COLOURS, INK, colours
from gaitpress.results.work import Curve
from report import vega
from report.points import FEW, Point, point, span
from report.points import staircase as staircase_of
from report.vega import Spec, scaled

DASHES = {"fp32": [1, 0], "fp16": [6, 3, 1, 3], "bf16": [6, 3], "int8": [5, 3], "best": [1, 3]}


def points(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The data of each variant for the charts; None where a value is unknown."""
    return [
        {
            "key": row.key,
            "name": row.name,
            "device": row.device,
            "model": row.model,
            "precision": row.precision,
            "percentile": row.percentile,
            "line": f"{row.model} {row.precision}",
            "valid": row.valid,
            "rank1": row.rank1,
            "low": row.rank1_interval[0],
            "high": row.rank1_interval[1],
            "latency": LATENCY.of(row),
            **{cost: at.x if at else None for cost, at in places.items()},
            "time_low": places["time"].left if places["time"] else None,
            "time_high": places["time"].right if places["time"] else None,
            "fronts": sorted(row.fronts),
            "text": description(row),
        }
        for row in rows
        for places in [{cost: point(row, cost) for cost in COSTS}]
    ]


def description(row: Row) -> list[str]:
    """A variant in a few lines, which the page shows when the reader points at it."""
    lines = [f"{row.name} on {row.device}: {row.verdict}"]
    if row.rank1 is not None:
        behind = f"{PEOPLE.of(row)} people, {PROBES.of(row)} probes"
        lines.append(f"{RANK1.title} {RANK1.text(row)} % [{digits.interval(*row.rank1_interval, 'percent')}], {behind}")
    if row.loss and row.dense and row.key != row.dense.key:
        interval = digits.interval(LOSS_LOW.of(row), LOSS_HIGH.of(row), "points")
        lines.append(f"loss {LOSS.text(row)} points [{interval}] against {row.dense.short_name}")
    if row.get("latency_ms"):
        lines.append(f"p50 {LATENCY.text(row)} ms, {TIME.text(row)} ms a second of video")
        if ENERGY.of(row) is not None:
            lines.append(f"{ENERGY.text(row)} mJ an inference")
        lines.append(f"engine {SIZE.text(row)} MB; {SPEEDUP.title} {SPEEDUP.text(row)}")
    if row.get("evidence"):
        lines.append(f"{words.EVIDENCE[row.get('evidence')]}, {row.get('data')} data")
    return [*lines, *row.reasons]


def pareto(rows: Sequence[Row], cost: str) -> Spec | None:
    """Rank-1 against a cost, a key of COSTS, of one device's rows; None if no row has that cost."""
    points = {row.key: at for row in rows if (at := point(row, cost))}
    shown = [row for row in rows if row.key in points]
    if not shown:
        return None
    model_colours = colours(rows)
    domain, log = vega.room_around([at.x for at in points.values()])

    def corners(on_front: Iterable[Row], **more: str) -> list[dict[str, Any]]:
        return [{"x": x, "y": y, **more} for x, y in staircase_of((points[row.key] for row in on_front), domain[1])]

    model_fronts = [
        corner
        for model in model_colours
        for corner in corners((row for row in shown if cost in row.own_fronts and row.model == model), model=model)
    ]
    optimal = f"indexof(datum.fronts, '{cost}') >= 0"
    thin = {"stroke": scaled("colour", "model"), "strokeWidth": {"value": 1.1}, "strokeDash": {"value": [2, 3]}}
    vertical = {"x": scaled("x", cost), "y": scaled("y", "low"), "y2": scaled("y", "high")}
    horizontal = {"x": scaled("x", "time_low"), "x2": scaled("x", "time_high"), "y": scaled("y", "rank1")}
    return vega.chart(
        data=[
            *vega.shown(cost),
            {"name": "front", "values": corners(row for row in shown if cost in row.fronts)},
            {"name": "own", "values": model_fronts},
        ],
        scales=[
            vega.position("x", domain, log),
            vega.position("y", _rank1_domain(list(points.values()))),
            vega.colour(model_colours),
            vega.shape(rows),
        ],
        axes=[_scaled_axis("x", COSTS[cost].labelled, domain, log), vega.axis("y", RANK1.labelled)],
        marks=[
            vega.per("own", "model", vega.staircase("own", thin)),
            vega.staircase("front", {"stroke": {"value": INK}, "strokeWidth": {"value": 1.8}}),
            vega.bar(vertical, "low"),
            *([vega.bar(horizontal, "time_low")] if cost == "time" else []),
            vega.symbols(cost, "rank1", optimal),
            vega.ring(cost, "rank1"),
            vega.names("true" if len(shown) <= FEW else optimal),
        ],
        legends=[vega.legend("fill", "colour"), vega.legend("shape", "shape")],
        height=420,
    )


def _scaled_axis(scale: str, title: str, domain: Sequence[float], log: bool) -> Spec:
    return vega.axis(scale, f"{title}, log scale", values=vega.ticks(domain)) if log else vega.axis(scale, title)


def _rank1_domain(points: Sequence[Point]) -> list[float]:
    low, high = span(points)
    room = max(1.0, 0.05 * (high - low))
    return [low - room, high + room]


def staircase(rows: Sequence[Row]) -> Spec | None:
    """Latency against percentile of one device's rows; None if no row has a latency."""
    latencies = [latency for row in rows if (latency := LATENCY.of(row))]
    if not latencies:
        return None
    (low, high), log = vega.room_around(latencies)
    precisions = list(dict.fromkeys(row.precision for row in rows))
    dashes = {"name": "dash", "type": "ordinal", "domain": precisions, "range": [DASHES.get(p, [2, 2]) for p in precisions]}
    line = {
        "x": scaled("x", "percentile"),
        "y": scaled("y", "latency"),
        "stroke": scaled("colour", "model"),
        "strokeDash": scaled("dash", "precision"),
        "strokeWidth": {"value": 1.4},
    }
    percentiles = sorted({row.percentile for row in rows})
    greatest = max(5, *percentiles)
    return vega.chart(
        data=vega.shown("latency", {"type": "collect", "sort": {"field": "percentile"}}),
        scales=[
            vega.position("x", [-0.02 * greatest, 1.03 * greatest]),
            vega.position("y", [low if log else 0, high], log),
            vega.colour(colours(rows)),
            vega.shape(rows),
            dashes,
        ],
        axes=[
            vega.axis("x", "pruning percentile", values=percentiles),
            _scaled_axis("y", "latency, p50 (ms)", [low, high], log),
        ],
        marks=[
            vega.per("shown", "line", vega.mark("line", "group", line)),
            vega.symbols("percentile", "latency", "false"),
            vega.ring("percentile", "latency"),
        ],
        legends=[vega.legend("fill", "colour"), vega.legend("shape", "shape")],
        height=320,
    )


def curves(trainings: Sequence[Curve], metric: str) -> Spec:
    """A metric of the trainings of one model over their steps."""
    shown = [training for training in trainings if metric in training.metrics]
    values = [{"name": training.name, "x": x, "y": y} for training in shown for x, y in training.metrics[metric]]
    name_colours = {training.name: COLOURS[number % len(COLOURS)] for number, training in enumerate(trainings)}
    position = {"x": scaled("x", "x"), "y": scaled("y", "y")}
    line = {**position, "stroke": scaled("colour", "name"), "strokeWidth": {"value": 1.5}}
    marks = [vega.per("values", "name", vega.mark("line", "group", line))]
    if all(len(training.metrics[metric]) < 15 for training in shown):  # a line may then be a single point
        marks.append(vega.mark("symbol", "values", {**position, "fill": scaled("colour", "name"), "size": {"value": 30}}))
    return vega.chart(
        data=[{"name": "values", "values": values}],
        scales=[
            vega.position("x", {"data": "values", "field": "x"}) | {"zero": True},
            vega.position("y", {"data": "values", "field": "y"}) | {"padding": 8},
            vega.colour(name_colours),
        ],
        axes=[vega.axis("x", shown[0].counter, tickMinStep=1), vega.axis("y", metric)],
        marks=marks,
        legends=[vega.legend("stroke", "colour")],
        height=260,
    )
