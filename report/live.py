"""Live recognition on the page: a table for each device, with a line for each number of people at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gaitpress.results import digits, words
from gaitpress.results.records import Row, by_device

PARTS = ("masks", "tracks", "network")


def tables(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The devices on which somebody watched, with the records of their variants; empty if nobody did."""
    watched = [row for row in rows if row.watched and not row.same_as]
    return [_table(device, listed) for device, listed in by_device(watched).items()]


def _table(device: str, rows: Sequence[Row]) -> dict[str, Any]:
    records = [(row, row.watched) for row in rows if row.watched]
    places = dict.fromkeys(f"{words.EVIDENCE[record['evidence']]}, {record['machine']}" for _, record in records)
    variants = [
        {"name": row.name, "day": record["measured_at"][:10], "lines": [_line(cell) for cell in record["cells"]]}
        for row, record in records
    ]
    return {"device": device, "places": list(places), "variants": variants}


def _line(cell: Mapping[str, Any]) -> dict[str, Any]:
    """A number of people at once, and its figures as they are written."""
    latency = cell["latency_ms"] or {}
    shares = {part: cell["share"][part] or 0.0 for part in PARTS}
    whole = sum(shares.values())
    return {
        "people": cell["people"],
        "rate": digits.significant(cell["frames_per_s"]) + (f" of {cell['source_fps']:g}" if cell["frames_per_s"] else ""),
        "median": digits.significant(latency.get("median")),
        "p99": digits.significant(latency.get("p99")),
        "frames": _dropped(cell["frames_dropped"], cell["frames"]),
        "windows": _dropped(cell["windows_dropped"], cell["windows"]),
        "cores": digits.significant(cell["cpu_s"] / cell["seconds"]) if cell["seconds"] else digits.DASH,
        "parts": [(part, round(share / whole, 3)) for part, share in shares.items()] if whole else [],
        "shares": " / ".join(f"{100 * share / whole:.0f}" for share in shares.values()) if whole else digits.DASH,
    }


def _dropped(dropped: int, kept: int) -> str:
    return f"{dropped} of {dropped + kept}"
