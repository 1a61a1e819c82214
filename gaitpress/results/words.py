"""Figures and their evidence in words, which the page, the terminal table and the plots share."""

from __future__ import annotations

from collections.abc import Sequence

from gait import protocols
from gaitpress.results import digits
from gaitpress.results.figures import LOSS, SPEEDUP
from gaitpress.results.machines import described
from gaitpress.results.records import Condition, Row

# In the order of the field's tables; conditions of a user's own dataset come after them.
CONDITIONS = {
    "nm": "normal walking",
    "bg": "with a bag",
    "cl": "in a coat",
    "n": "normal walking",
    "b": "with a backpack",
    "s": "in coating shoes",
    "CL": "all clothes changed",
    "UP": "upper clothes changed",
    "DN": "lower clothes changed",
    "BG": "a bag or none",
    "normal": "normal walking",
    "bag": "with a bag",
    "clothing": "in other clothes",
    "carrying": "carrying something",
    "umbrella": "with an umbrella",
    "uniform": "in a uniform",
    "occlusion": "partly hidden",
    "night": "at night",
}
EVIDENCE = {"host": "host CPU", "real-device": "real device", "simulated": "simulated device"}
DISTANCES = {
    "euclidean": "Euclidean distance of signatures as they are",
    "cosine": "cosine distance, of signatures scaled to length 1",
}


def data(rows: Sequence[Row]) -> str:
    """Whose data the accuracies are from, such as "synthetic data"."""
    return " and ".join(f"{kind} data" for kind in sorted({row.get("data") for row in rows} - {None}))


def place(rows: Sequence[Row]) -> str:
    """What the times of one device's rows were measured on, and what it is not."""
    places: dict[str, None] = {}
    for row in rows:
        if row.get("device"):
            machine = described(row.get("device"))
            places[
                {
                    "host": f"measured on host CPU ({machine}), not on a board",
                    "real-device": f"measured on a real device ({machine})",
                    "simulated": f"simulated ({machine}), not measured on real hardware",
                }[row.get("evidence")]
            ] = None
    return "; ".join(places) or "not measured"


def runtime(rows: Sequence[Row]) -> str:
    """What ran the networks, such as "onnxruntime 1.32.0, 1 thread, batch 1"."""
    runtimes: dict[str, None] = {}
    for row in rows:
        if row.get("device") and row.get("protocol") and row.get("latency_ms"):
            threads, batch = row.get("protocol", "threads"), row.get("protocol", "batch")
            name, version = row.get("device", "runtime"), row.get("device", "runtime_version")
            # TensorRT has no threads to choose.
            threads_used = [f"{threads} thread{'s' * (threads != 1)}"] if threads else []
            runtimes[", ".join([f"{name} {version}", *threads_used, f"batch {batch}"])] = None
    return "; ".join(runtimes) or "nothing measured"


def batches(row: Row) -> str:
    """How fast a variant is with other batches, such as "batch 8: 21 ms, 380 inferences/s"; "" if not measured."""
    parts = []
    for entry in row.get("sweep") or ():
        speed = f"{digits.significant(entry['latency_ms'])} ms, {digits.significant(entry['inferences_per_s'])} inferences/s"
        parts.append(f"batch {entry['batch']}: {entry['reason'] or speed}")
    return "; ".join(parts)


def conditions(rows: Sequence[Row]) -> list[Condition]:
    """The walking conditions whose rank-1 the records have, in the order of the field's tables."""
    return sorted({condition for row in rows for condition in row.conditions}, key=place_of)


def place_of(condition: Condition) -> tuple[bool, int, str]:
    """The sort key of conditions."""
    known = list(CONDITIONS)
    listed = condition.name in known
    return condition.later, known.index(condition.name) if listed else len(known), condition.name


def meaning(condition: Condition) -> str:
    """What the title of a condition stands for, such as "normal walking"; "" for a condition of a user's own dataset."""
    known = CONDITIONS.get(condition.name, "")
    return f"{known}, months later" if condition.later and known else known


def rank1(rows: Sequence[Row]) -> str:
    """How rank-1 was measured, and what the conditions' short names mean."""
    known = protocols.comparisons()
    used = sorted({row.get("accuracy", "protocol") for row in rows} - {None})
    # A user may have removed their own protocol; the records that it made stay.
    parts = [*(known[name].words if name in known else f"by protocol {name}" for name in used), f"by {distance(rows)}"]
    parts += [f"{condition.title} {meaning(condition)}" for condition in conditions(rows) if meaning(condition)]
    return "; ".join(parts)


def counts(rows: Sequence[Row]) -> str:
    """How many people and probes stand behind each rate, such as "mean of 14 people and 168 probes; NM of 14 and 84"."""
    figures = [("mean", [row.get("accuracy", "rank1") for row in rows])]
    figures += [(condition.title, [row.rank1_of(condition) for row in rows]) for condition in conditions(rows)]
    parts: list[str] = []
    for title, behind in figures:
        pairs = dict.fromkeys((rates["people"], rates["probes"]) for rates in behind if rates)
        form = "{} people and {} probes" if not parts else "{} and {}"
        if pairs:
            parts.append(f"{title} of {' or '.join(form.format(*pair) for pair in pairs)}")
    return "; ".join(parts)


def distance(rows: Sequence[Row]) -> str:
    """The distances that rank-1 was measured by, each with its models if there are several distances."""
    models: dict[str, list[str]] = {}
    for row in rows:
        if (kind := row.get("accuracy", "distance")) and row.model not in models.setdefault(kind, []):
            models[kind].append(row.model)
    if len(models) < 2:
        return DISTANCES[next(iter(models))] if models else "a distance that is not recorded"
    return " and ".join(f"{DISTANCES[kind]} ({', '.join(names)})" for kind, names in models.items())


def loss(row: Row, budget: float) -> str:
    """What a variant loses or gains against its dense network, such as "loses 0.4 (−0.2 to 1.0): surely within 1 point".

    Args:
        row: a variant whose loss is known.
        budget: the points that it may lose.
    """
    if row.loss is None or row.dense is None:
        return "its loss is unknown"
    if row.key == row.dense.key:
        return "the dense network itself"
    verb, points, ends = lost_or_gained(row.loss.points, row.loss.low, row.loss.high)
    sure = f"{'surely' if row.loss.surely_within(budget) else 'not surely'} within {LOSS.limit(budget)}"
    if row.loss.unknown:
        return f"{verb} {points}, {sure}: its interval is unknown ({row.loss.unknown})"
    return f"{verb} {points} ({ends}): {sure}"


def lost_or_gained(points: float, low: float | None, high: float | None) -> tuple[str, str, str]:
    """A loss in words: the verb, the points and their interval, such as "gains", "1.4", "−2.6 to 5.0" where it is −1.4."""
    if round(points, 1) >= 0:
        return "loses", digits.points(points), digits.interval(low, high, "points")
    ends = digits.DASH if low is None or high is None else digits.interval(-high, -low, "points")
    return "gains", digits.points(-points), ends


def faster(row: Row) -> str:
    """How fast a variant is beside its dense network: "5.10× as fast as gaitset p0 fp32"; "" if that is unknown."""
    if row.speedup is None or row.dense is None or row.key == row.dense.key:
        return ""
    return f"{SPEEDUP.text(row)} as fast as {row.dense.name}"


def measured_at(rows: Sequence[Row]) -> str:
    """When the newest record was made, such as "2025-03-01 12:00 UTC"."""
    newest = max((row.get("measured_at") or "" for row in rows), default="")
    return f"{newest[:10]} {newest[11:16]} UTC" if newest else "never"
