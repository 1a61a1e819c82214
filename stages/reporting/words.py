"""Numbers and evidence in words, the same in the page, the terminal table and the plots."""

from __future__ import annotations

from collections.abc import Sequence

from stages.reporting.records import Row

DASH = "–"


def data(rows: Sequence[Row]) -> str:
    """Whose data the accuracies are from, such as "synthetic data"."""
    return " and ".join(f"{kind} data" for kind in sorted({row.get("data") for row in rows} - {None}))


def place(rows: Sequence[Row]) -> str:
    """What the times were measured on, and what it is not, of the rows of one device."""
    found: dict[str, None] = {}
    for row in rows:
        if row.get("device"):
            cpu, cores = row.get("device", "cpu"), row.get("device", "cores")
            machine = row.get("device", "board") or f"{cpu}, {cores} core{'s' * (cores != 1)}"
            found[
                {
                    "host": f"measured on host CPU ({machine}), not on a board",
                    "real-device": f"measured on a real device ({machine})",
                    "simulated": f"simulated ({machine}), not measured on real hardware",
                }[row.get("evidence")]
            ] = None
    return "; ".join(found) or "not measured"


def runtime(rows: Sequence[Row]) -> str:
    """What ran the networks, such as "onnxruntime 1.32.0, 1 thread, batch 1"."""
    found: dict[str, None] = {}
    for row in rows:
        if row.get("device") and row.get("protocol"):
            threads, batch = row.get("protocol", "threads"), row.get("protocol", "batch")
            name, version = row.get("device", "runtime"), row.get("device", "runtime_version")
            found[f"{name} {version}, {threads} thread{'s' * (threads != 1)}, batch {batch}"] = None
    return "; ".join(found)


def measured_at(rows: Sequence[Row]) -> str:
    """When the newest record was made, such as "2025-03-01 12:00 UTC"."""
    newest = max((row.get("measured_at") or "" for row in rows), default="")
    return f"{newest[:10]} {newest[11:16]} UTC" if newest else "never"


def percent(value: float | None) -> str:
    return DASH if value is None else f"{value:.1f}"


def significant(value: float | None) -> str:
    """Three significant digits, no exponent."""
    if value is None:
        return DASH
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:#.3g}"


def interval(low: float | None, high: float | None, form: str = "significant") -> str:
    if low is None or high is None:
        return DASH
    show = percent if form == "percent" else significant
    return f"{show(low)}{DASH}{show(high)}"


def times(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}×"


def mega(value: float | None) -> str:
    """Millions (of bytes, weights, multiply-adds)."""
    return DASH if value is None else significant(value / 1e6)
