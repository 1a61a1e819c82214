"""How numbers are written, the same in the page, the terminal, the tables and the pictures."""

from __future__ import annotations

DASH = "–"  # where something is unknown


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
    if form == "points":  # which may be below 0, so that a dash between them would be read as a minus
        return f"{points(low)} to {points(high)}"
    show = percent if form == "percent" else significant
    return f"{show(low)}{DASH}{show(high)}"


def times(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}×"


def mega(value: float | None) -> str:
    """Millions (of bytes, weights, multiply-adds)."""
    return DASH if value is None else significant(value / 1e6)


def points(value: float | None) -> str:
    """Percentage points, with a minus sign below 0; what would be "-0.0" is 0.0."""
    return DASH if value is None else f"{round(value, 1) + 0.0:.1f}".replace("-", "\N{MINUS SIGN}")
