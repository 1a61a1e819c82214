"""The page's interactive charts: what they know of each variant, and their Vega specifications."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gaitpress.results import words
from gaitpress.results.records import COSTS, Row
from gaitpress.results.style import COLOURS, INK, colours
from gaitpress.results.work import Curve
from report import vega
from report.vega import Spec, scaled

FEW = 40  # with more variants, only Pareto-optimal ones are labelled
TITLES = {
    "time": "computing time a second of video (ms)",
    "energy": "energy a second of video (mJ)",
    "size": "size of the engine (MB)",
}
DASHES = {"fp32": [1, 0], "fp16": [6, 3, 1, 3], "int8": [5, 3], "best": [1, 3]}


def points(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """What the charts know of each variant; None where something is unknown."""
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
            "latency": row.get("latency_ms", "p50"),
            **{cost: _cost(row, cost) for cost in COSTS},
            **_time_interval(row),
            "fronts": sorted(row.fronts),
            "text": description(row),
        }
        for row in rows
    ]


def description(row: Row) -> list[str]:
    """A variant in a few lines, for whoever points at it."""
    lines = [f"{row.name} on {row.device}: {row.verdict}"]
    if row.rank1 is not None:
        behind = f"{row.get('accuracy', 'rank1', 'people')} people, {row.get('accuracy', 'rank1', 'probes')} probes"
        lines.append(
            f"mean rank-1 {words.percent(row.rank1)} % [{words.interval(*row.rank1_interval, 'percent')}], {behind}"
        )
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


def _cost(row: Row, cost: str) -> float | None:
    value = COSTS[cost](row) if row.has(cost) else None
    return value / 1e6 if value is not None and cost == "size" else value


def _time_interval(row: Row) -> dict[str, float | None]:
    p50, low, high = (row.get("latency_ms", key) for key in ("p50", "p50_low", "p50_high"))
    time = _cost(row, "time")
    if time is None or None in (low, high) or not p50:
        return {"time_low": None, "time_high": None}
    return {"time_low": time * low / p50, "time_high": time * high / p50}


def pareto(rows: Sequence[Row], cost: str) -> Spec | None:
    """Rank-1 against a cost, one of COSTS, of one device's rows; None if none of them has that cost."""
    costs = {row.key: value for row in rows if (value := _cost(row, cost)) is not None}
    there = [row for row in rows if row.key in costs]
    if not there:
        return None
    of = colours(rows)
    domain, log = vega.room_around(list(costs.values()))

    def staircase(on_front: Iterable[Row], **more: str) -> list[dict[str, Any]]:
        steps = sorted((costs[row.key], row.rank1) for row in on_front)
        ends = [*steps, (domain[1], steps[-1][1])] if steps else []
        return [{"x": x, "y": y, **more} for x, y in ends]

    own = [
        step
        for model in of
        for step in staircase((row for row in there if cost in row.own_fronts and row.model == model), model=model)
    ]
    optimal = f"indexof(datum.fronts, '{cost}') >= 0"
    thin = {"stroke": scaled("colour", "model"), "strokeWidth": {"value": 1.1}, "strokeDash": {"value": [2, 3]}}
    vertical = {"x": scaled("x", cost), "y": scaled("y", "low"), "y2": scaled("y", "high")}
    horizontal = {"x": scaled("x", "time_low"), "x2": scaled("x", "time_high"), "y": scaled("y", "rank1")}
    return vega.chart(
        data=[
            *vega.shown(cost),
            {"name": "front", "values": staircase(row for row in there if cost in row.fronts)},
            {"name": "own", "values": own},
        ],
        scales=[
            vega.position("x", domain, log),
            vega.position("y", _rank1_domain(there)),
            vega.colour(of),
            vega.shape(rows),
        ],
        axes=[_scaled_axis("x", TITLES[cost], domain, log), vega.axis("y", "mean rank-1 (%)")],
        marks=[
            vega.per("own", "model", vega.staircase("own", thin)),
            vega.staircase("front", {"stroke": {"value": INK}, "strokeWidth": {"value": 1.8}}),
            vega.bar(vertical, "low"),
            *([vega.bar(horizontal, "time_low")] if cost == "time" else []),
            vega.symbols(cost, "rank1", optimal),
            vega.ring(cost, "rank1"),
            vega.names("true" if len(there) <= FEW else optimal),
        ],
        legends=[vega.legend("fill", "colour"), vega.legend("shape", "shape")],
        height=420,
    )


def _scaled_axis(scale: str, title: str, domain: Sequence[float], log: bool) -> Spec:
    return vega.axis(scale, f"{title}, log scale", values=vega.ticks(domain)) if log else vega.axis(scale, title)


def _rank1_domain(rows: Sequence[Row]) -> list[float]:
    known = [end for row in rows for end in (row.rank1, *row.rank1_interval) if end is not None]
    room = max(1.0, 0.05 * (max(known) - min(known)))
    return [min(known) - room, max(known) + room]


def staircase(rows: Sequence[Row]) -> Spec | None:
    """Latency against percentile of one device's rows; None if none of them has a latency."""
    latencies = [row.get("latency_ms", "p50") for row in rows if row.get("latency_ms", "p50")]
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
    there = [each for each in trainings if metric in each.metrics]
    values = [{"name": each.name, "x": x, "y": y} for each in there for x, y in each.metrics[metric]]
    of = {each.name: COLOURS[place % len(COLOURS)] for place, each in enumerate(trainings)}
    place = {"x": scaled("x", "x"), "y": scaled("y", "y")}
    line = {**place, "stroke": scaled("colour", "name"), "strokeWidth": {"value": 1.5}}
    marks = [vega.per("values", "name", vega.mark("line", "group", line))]
    if all(len(each.metrics[metric]) < 15 for each in there):  # so few that a line may be a single point
        marks.append(vega.mark("symbol", "values", {**place, "fill": scaled("colour", "name"), "size": {"value": 30}}))
    return vega.chart(
        data=[{"name": "values", "values": values}],
        scales=[
            vega.position("x", {"data": "values", "field": "x"}) | {"zero": True},
            vega.position("y", {"data": "values", "field": "y"}) | {"padding": 8},
            vega.colour(of),
        ],
        axes=[vega.axis("x", there[0].counter, tickMinStep=1), vega.axis("y", metric)],
        marks=marks,
        legends=[vega.legend("stroke", "colour")],
        height=260,
    )
