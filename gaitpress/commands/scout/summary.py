"""The measurements of `scout` as one JSON object, and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from gaitpress import params
from gaitpress.commands.scout.measure import Scouted
from gaitpress.commands.scout.treads import NOISE_MARGIN, Point, over_turns, pooled_cov, treads
from gaitpress.params.benchmark import Benchmark
from gaitpress.results import digits
from gaitpress.results.machines import described
from gaitpress.timing.bench import Bench
from gaitpress.timing.shapes import Shape, protocol
from remote.benchmark import disturbed, drift, judge


def result(model: str, scouted: Scouted, bench: Bench, settings: params.Params) -> dict[str, Any]:
    """All figures of a model on a device; the keys are those of benchmark records where these have them.

    ``rows`` has a row for each percentile, ascending. In a row, ``tread`` is the first percentile of its tread, ``worth``
    says whether that is the row's own, and ``same_shape_as`` names the lowest percentile that leaves the same network.
    """
    percentiles = sorted([*scouted.shapes, *scouted.refused])
    lowest_by_shape: dict[str, int | float] = {}
    rows = []
    for percentile in percentiles:
        row: dict[str, Any] = {"percentile": percentile, "same_shape_as": None, "valid": False, "invalid_reasons": []}
        row |= dict.fromkeys(("filters", "params", "macs", "onnx_bytes", "engine_bytes", "latency_ms", "shape"))
        if percentile in scouted.refused:
            rows.append(row | {"status": "failed", "reason": scouted.refused[percentile]})
            continue
        shape = scouted.shapes[percentile]
        lowest = lowest_by_shape.setdefault(shape.key, percentile)
        sizes = {key: value for key, value in shape.network.items() if key in row}
        row |= {"shape": shape.key, "filters": shape.filters, **sizes}
        row["same_shape_as"] = None if lowest == percentile else lowest
        rows.append(row | _time(shape, settings.benchmark, bench.facts["cores"]))
    shapes = {shape.key: shape for shape in scouted.shapes.values()}.values()
    turns = [turn for shape in shapes for turn in shape.turns]
    rows = with_treads(rows)
    return {
        "model": model,
        "device_name": bench.device.name,
        "device": dict(bench.facts),
        "evidence": bench.device.evidence(bench.facts),
        "data": "none",
        "protocol": protocol(settings.benchmark)
        | (turns[0]["timed"] if turns else {})
        | {
            "noise_margin": NOISE_MARGIN,
            "input_shape": next((s.network["benchmark_shape"] for s in shapes if s.network), None),
        },
        "prune": settings.prune.model_dump(mode="json", exclude={"percentiles"}),
        "export": settings.export.model_dump(mode="json"),
        "width": settings.model[model].width,
        "rows": rows,
        "worth": [row["percentile"] for row in rows if row["worth"]],
        "notes": list(_notes(settings)),
        "turns": turns,
        "measured_at": max((turn["measured_at"] for turn in turns), default=datetime.now(UTC).isoformat(timespec="seconds")),
    }


def _time(shape: Shape, settings: Benchmark, cores: int) -> dict[str, Any]:
    if shape.reason is not None:
        return {"status": "failed", "reason": shape.reason}
    p50, low, high = over_turns(shape.turns)
    cov = pooled_cov(shape.turns)
    repeats = [turn["repeat"] for turn in shape.turns]
    reasons = [*judge({"cov": cov}, drift(repeats), settings.max_cov), *disturbed(repeats, cores)]
    return {
        "status": "ok",
        "reason": None,
        "valid": not reasons,
        "invalid_reasons": reasons,
        "latency_ms": {
            "p50": round(p50, 5),
            "p50_low": round(low, 5),
            "p50_high": round(high, 5),
            "cov": round(cov, 5),
            "queries": sum(turn["queries"] for turn in shape.turns),
        },
    }


def with_treads(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give every row its speed-up against percentile 0 and its place on the staircase."""
    timed = {row["percentile"]: row["latency_ms"] for row in rows if row["latency_ms"]}
    firsts = treads(Point(key, time["p50"], time["p50_low"], time["p50_high"]) for key, time in timed.items())
    baseline = timed.get(0)
    for row in rows:
        latency = row["latency_ms"]
        row["speedup"] = round(baseline["p50"] / latency["p50"], 4) if baseline and latency else None
        row["tread"] = firsts.get(row["percentile"])
        row["worth"] = row["tread"] == row["percentile"]
    return rows


def _notes(settings: params.Params) -> Iterator[str]:
    if settings.prune.mode == "published" or settings.prune.scope == "global":
        key = "mode: published" if settings.prune.mode == "published" else "scope: global"
        yield (
            f"prune.{key}: how many filters each layer keeps depends on the weights, so the shapes of the trained network "
            "will differ from these; under scope: layer they are the same"
        )


def headline(result: Mapping[str, Any]) -> str:
    """The model, the device, the evidence and the protocol in one line."""
    device, protocol = result["device"], result["protocol"]
    machine = described(device)
    evidence = {
        "host": f"host CPU ({machine}), not a board",
        "real-device": f"real device ({machine})",
        "simulated": f"simulated ({machine}), not real hardware",
    }[result["evidence"]]
    threads = protocol["threads"]
    return (
        f"{result['model']} (width {result['width']:g}) on {result['device_name']}: {evidence}; "
        f"{device['runtime']} {device['runtime_version']}, {protocol['precision']}, {threads} thread{'s' * (threads != 1)}, "
        f"batch {protocol['batch']}; data none: fresh weights, random input"
    )


def table(result: Mapping[str, Any]) -> str:
    """The staircase as aligned text, with a headline before it, and notes and the verdict after it."""
    header = ("percentile", "filters", "M multiply-adds", "p50 ms", "95 % interval", "speed-up", "")
    lines = [header, *(_cells(row) for row in result["rows"])]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    text = [
        "  ".join([*(cell.rjust(width) for cell, width in zip(line[:-1], widths, strict=False)), line[-1]]).rstrip()
        for line in lines
    ]
    return "\n".join([headline(result), "", *text, "", *(f"note: {note}" for note in notes(result)), verdict(result)])


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    time = row["latency_ms"] or {}
    return (
        f"{row['percentile']:g}",
        digits.DASH if row["filters"] is None else f"{row['filters']:,}",
        digits.mega(row["macs"]),
        digits.significant(time.get("p50")),
        digits.interval(time.get("p50_low"), time.get("p50_high")),
        digits.times(row["speedup"]),
        mark(row),
    )


def mark(row: Mapping[str, Any]) -> str:
    """A row's place on the staircase in words."""
    if row["status"] != "ok":
        return f"failed: {row['reason']}"
    if row["worth"]:
        words = "baseline" if row["percentile"] == 0 else "faster: worth it"
    else:
        words = f"buys nothing over {row['tread']:g}"
        if row["same_shape_as"] is not None:
            words += f" (same shape as {row['same_shape_as']:g})"
    return words if row["valid"] else f"{words}; not valid"


def notes(result: Mapping[str, Any]) -> list[str]:
    """Notes for the reader of a staircase."""
    rule = f"faster: by more than {100 * NOISE_MARGIN:g} %, and neither median within the other's interval"
    return [rule, *doubts(result), *result["notes"]]


def doubts(result: Mapping[str, Any]) -> list[str]:
    """How many times are not valid, and why, in a sentence; empty if all are valid."""
    unsure = [row for row in result["rows"] if row["invalid_reasons"]]
    reasons = sorted({reason.partition(":")[0] for row in unsure for reason in row["invalid_reasons"]})
    if not unsure:
        return []
    return [
        f"{len(unsure)} of {len(result['rows'])} times are not valid ({', '.join(reasons)}): the machine was not quiet; "
        "measure again when it is"
    ]


def verdict(result: Mapping[str, Any]) -> str:
    """Which percentiles to fine-tune, in a line."""
    if not result["worth"]:
        return f"worth fine-tuning: none; no percentile of {result['model']} could be measured"
    names = [f"{percentile:g}{' (the baseline)' * (percentile == 0)}" for percentile in result["worth"]]
    failed = sum(row["status"] != "ok" for row in result["rows"])
    slower = f"{len(result['rows']) - len(names) - failed} of {len(result['rows'])} percentiles are not measurably faster"
    return f"worth fine-tuning: {', '.join(names)}; the other {slower}" + (f", {failed} failed" if failed else "")
