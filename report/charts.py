"""The page's interactive charts: the data of each variant, and their Vega specifications."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from gaitpress.results import digits, words
from gaitpress.results.figures import (
    COSTS,
    EER,
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
from gaitpress.results.style import COLOURS, GREY, INK, colours
from gaitpress.results.work import Curve
from report import vega
from report.points import FEW, Point, error_curve, point, span
from report.points import staircase as staircase_of
from report.vega import Spec, scaled

LINES = 12  # error curves that a chart holds; of more variants it shows only those that stand out


def points(rows: Sequence[Row], outstanding: Collection[str]) -> list[dict[str, Any]]:
    """The data of each variant for the charts; None where a value is unknown.

    Args:
        rows: the variants.
        outstanding: the keys of those whose error curves are shown however many variants there are.
    """
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
            "outstanding": row.key in outstanding,
            "far": errors.far if errors else None,
            "frr": errors.frr if errors else None,
            "eer": errors.eer if errors else None,
            "text": description(row),
        }
        for row in rows
        for places in [{cost: point(row, cost) for cost in COSTS}]
        for errors in [error_curve(row)]
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
    if EER.of(row) is not None:
        lines.append(f"{EER.title} {EER.text(row)} %")
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
            vega.staircase("front", {"stroke": {"value": INK}, "strokeWidth": {"value": 1.8}}, name="front-line"),
            vega.bar(vertical, "low"),
            *([vega.bar(horizontal, "time_low")] if cost == "time" else []),
            vega.symbols(cost, "rank1", optimal),
            vega.ring(cost, "rank1"),
            *vega.names("true" if len(shown) <= FEW else optimal, "front-line"),
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
            vega.dash(rows),
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


def det(rows: Sequence[Row]) -> Spec | None:
    """False reject rate against false accept rate of one device's rows; None if no row has such rates to show.

    On axes of normal deviates, the curve of two normal distributions is a straight line (Martin et al., Eurospeech 1997).
    """
    curves_of = [errors for row in rows if (errors := error_curve(row)) and errors.far]
    if not curves_of:
        return None
    across, up = ([rate for errors in curves_of for rate in getattr(errors, kind)] for kind in ("far", "frr"))
    (left, right), (bottom, top) = (
        (vega.deviate(min(rates)) - 0.05, vega.deviate(max(rates)) + 0.05) for rates in (across, up)
    )
    ends = [max(left, bottom), min(right, top)]
    place = {"x": scaled("x", "x"), "y": scaled("y", "y")}
    place |= {"opacity": {"signal": "active && datum.key !== active ? 0.4 : 1"}}
    line = {
        **place,
        "stroke": scaled("colour", "model"),
        "strokeDash": scaled("dash", "precision"),
        "strokeWidth": {"signal": "datum.key === active ? 3 : 1.4"},
        "tooltip": {"field": "key"},
        "cursor": {"value": "pointer"},
    }
    dot = {**place, "size": {"value": 9}, "fill": scaled("colour", "model")}
    equal = {"x": scaled("x", "at"), "y": scaled("y", "at"), "stroke": {"value": GREY}, "strokeDash": {"value": [2, 3]}}
    few = f"datum.outstanding || datum.left <= {LINES}"
    count = "length(data('shown')) + ' of ' + length(data('left')) + ' variants have a line'"
    return vega.chart(
        data=[
            {"name": "rows"},
            {
                "name": "left",
                "source": "rows",
                "transform": [
                    vega.filtered("datum.far && length(datum.far) && (!keys || keys[datum.key])"),
                    {"type": "joinaggregate", "fields": [None], "ops": ["count"], "as": ["left"]},
                ],
            },
            {"name": "shown", "source": "left", "transform": [vega.filtered(few)]},
            {
                "name": "curve",
                "source": "shown",
                "transform": [{"type": "flatten", "fields": ["far", "frr"]}, *vega.deviates(x="far", y="frr")],
            },
            {
                "name": "crossings",
                "source": "shown",
                "transform": [vega.filtered("isValid(datum.eer)"), *vega.deviates(crossing="eer")],
            },
            {"name": "active", "source": "crossings", "transform": [vega.filtered("datum.key === active")]},
            {"name": "equal", "values": [{"at": end} for end in ends]},
        ],
        scales=[
            vega.position("x", [left, right]),
            vega.position("y", [bottom, top]),
            vega.colour(colours(rows)),
            vega.shape(rows),
            vega.dash(rows),
        ],
        axes=[
            vega.deviate_axis("x", "false accept rate (%)", [left, right]),
            vega.deviate_axis("y", "false reject rate (%)", [bottom, top]),
        ],
        marks=[
            vega.mark("line", "equal", equal, name="equal-rates"),
            vega.per("curve", "key", vega.mark("line", "group", line, name="lines")),
            vega.mark("symbol", "curve", dot, interactive=False),
            vega.symbols("crossing", "crossing", "indexof(datum.fronts, 'time') >= 0", "crossings", "true"),
            vega.ring("crossing", "crossing"),
            *vega.names("true", "equal-rates"),
            vega.note(f"length(data('shown')) < length(data('left')) ? {count} : ''"),
        ],
        legends=[vega.legend("fill", "colour"), vega.legend("shape", "shape")],
        height=420,
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
