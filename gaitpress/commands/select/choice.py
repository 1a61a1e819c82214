"""Which variant is the best within limits, and why the others are not."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gaitpress.errors import StageError
from gaitpress.params.select import Select
from gaitpress.results.figures import ENERGY, LATENCY, RANK1, SIZE, TIME, Figure
from gaitpress.results.records import Row

UNITS = {
    "max_latency": {"s": 1e3, "ms": 1.0, "us": 1e-3},
    "max_energy": {"J": 1e3, "mJ": 1.0, "uJ": 1e-3},
    "max_size": {"GB": 1e9, "MB": 1e6, "kB": 1e3, "B": 1.0, "GiB": 2**30, "MiB": 2**20, "KiB": 2**10},
}


@dataclass(frozen=True)
class Limits:
    """What a variant must keep; None where there is no limit.

    Attributes:
        max_latency: median time of a query, ms.
        min_rank1: mean rank-1, %.
        max_energy: energy of an inference, mJ.
        max_size: size of the engine, bytes.
        people: that the device must serve at once.
        fps: inferences a second that each of them needs; None: those that the model takes for a second of video.
    """

    max_latency: float | None = None
    min_rank1: float | None = None
    max_energy: float | None = None
    max_size: float | None = None
    people: float | None = None
    fps: float | None = None


def served(row: Row, fps: float | None) -> int | None:
    """How many people a device serves at once with a variant, by the fastest batch that was measured; None if unknown.

    Args:
        row: the variant.
        fps: inferences a second of each; None: those that the model takes for a second of video.
    """
    rates = [row.get("throughput_per_s"), *(row.most_at_once or ())[:1]]
    most = max((rate for rate in rates if rate is not None), default=None)
    each = fps or row.get("signature", "inferences_per_video_second")
    return None if most is None or not each else math.floor(most / each)


LIMITED = {"max_latency": LATENCY, "min_rank1": RANK1, "max_energy": ENERGY, "max_size": SIZE}


def limited(within: Limits) -> dict[str, Figure]:
    """What each limit is about; how many people are served depends on what each of them needs."""
    people = Figure("people", title="people served", better="more", computed=lambda row: served(row, within.fps))
    return {**LIMITED, "people": people}


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes:
        best: the best variant within the limits; None if there is none.
        nearest: if there is none, the measured variant that misses the limits by least; None if nothing valid was measured.
        blocking: the limits that ``nearest`` breaks, in words.
        reasons: why each other variant was not chosen, by its key; those that came closest first.
    """

    best: Row | None
    nearest: Row | None
    blocking: list[str]
    reasons: dict[str, list[str]]


def amount(limit: str, text: str) -> float:
    """A limit with its unit, such as "5ms", "10 mJ" or "2.5MB", in ms, mJ or bytes.

    Args:
        limit: a key of UNITS.
        text: the number and its unit.

    Raises:
        ValueError: it is not a positive number with one of the limit's units.
    """
    units = UNITS[limit]
    found = re.fullmatch(r"([0-9]*\.?[0-9]+) ?([A-Za-z]+)", text.strip())
    if not found or found[2] not in units or not 0 < (value := float(found[1]) * units[found[2]]) < math.inf:
        raise ValueError(f"{text}: must be a number above 0 with a unit, {', '.join(units)}; such as 5{list(units)[1]}")
    return value


def limits(settings: Select) -> Limits:
    """The limits of the section ``select`` of params.yaml.

    Raises:
        StageError: one is 0.
    """
    found: dict[str, float] = {}
    for limit in UNITS:
        if (text := getattr(settings, limit)) is not None:
            try:
                found[limit] = amount(limit, text)
            except ValueError as error:
                raise StageError(f"params.yaml: select.{limit} = {error}") from None
    return Limits(min_rank1=settings.min_rank1, people=settings.people, fps=settings.fps, **found)


def choose(rows: Sequence[Row], within: Limits) -> Choice:
    """The most accurate variant that keeps all limits, or the fastest if a least rank-1 is the only limit.

    Of equal ones the faster, then that of less energy, then the smaller, then the first is taken. A missing figure fails its
    limit, invalid times are not trusted, and a lower precision that is not worth it is left out. Limits are on an inference;
    speeds are compared per second of video, which is fair to models that look at different spans of time.
    """
    faults = {row.key: _faults(row, within) for row in rows}
    by_time = within.min_rank1 is not None and within == Limits(min_rank1=within.min_rank1, fps=within.fps)
    measured = [row for row in rows if _measured(row)]
    fitting = sorted((row for row in measured if not faults[row.key]), key=lambda row: _order(row, by_time))
    missing = sorted(
        (row for row in measured if faults[row.key]), key=lambda row: (_excess(row, within), _order(row, False))
    )
    best, nearest = (fitting[0], None) if fitting else (None, missing[0] if missing else None)
    named = best or nearest
    reasons = {row.key: row.reasons for row in rows if named and row.same_as and row.same_as.key == named.key}
    reasons |= {row.key: [_worse(row, best, by_time)] for row in fitting if best and row is not best}
    others = [*missing, *(row for row in rows if not _measured(row))]
    reasons |= {row.key: faults[row.key] for row in others if row is not nearest}
    return Choice(best, nearest, faults[nearest.key] if nearest else [], reasons)


def _measured(row: Row) -> bool:
    """Whether it may be chosen, and can be compared."""
    return row.eligible and row.plotted


def _faults(row: Row, within: Limits) -> list[str]:
    """Why a variant cannot be chosen; empty if it can."""
    if row.same_as:
        return row.reasons  # the variant that it is may be chosen
    if not _measured(row):
        return [f"{row.verdict}: {reason}" for reason in row.reasons] or [f"{row.verdict}, but without time or rank-1"]
    return [text for limit, figure in limited(within).items() if (text := _broken(row, limit, figure, within))]


def _broken(row: Row, limit: str, figure: Figure, within: Limits) -> str | None:
    """How a measured variant breaks a limit; None if it keeps it."""
    bound, least = getattr(within, limit), figure.better == "more"
    if bound is None:
        return None
    value = figure.of(row)
    if value is None or not math.isfinite(value):
        why = f" ({row.get('energy_reason')})" if limit == "max_energy" and row.get("energy_reason") else ""
        return f"{figure.title} unknown{why}, and at {'least' if least else 'most'} {figure.limit(bound)} is asked for"
    if least:
        return f"{figure.title} {figure.limit(value)} is below {figure.limit(bound)}" if value < bound else None
    return f"{figure.title} {figure.limit(value)} is above {figure.limit(bound)}" if value > bound else None


def _order(row: Row, by_time: bool) -> tuple[float, ...]:
    """What variants are ordered by, the best first."""
    time, accuracy = _known(TIME.of(row)), -row.rank1
    energy, size = (_known(figure.of(row)) for figure in (ENERGY, SIZE))
    return (time, accuracy, energy, size) if by_time else (accuracy, time, energy, size)


def _known(value: float | None) -> float:
    return math.inf if value is None else value


def _worse(row: Row, best: Row, by_time: bool) -> str:
    """In which respect a variant that keeps all limits is behind the best."""
    compared = {
        "less accurate": (RANK1, "%"),
        "slower": (TIME, "ms a second of video"),
        "more energy": (ENERGY, "mJ"),
        "larger": (SIZE, "bytes"),
    }
    words = ("slower", "less accurate") if by_time else ("less accurate", "slower")
    for word in (*words, "more energy", "larger"):
        figure, unit = compared[word]
        values = figure.of(row), figure.of(best)
        ours, theirs = ("unknown" if value is None else f"{value:.6g}" for value in values)
        if values[0] != values[1]:
            return f"{word} than {best.name}: {ours}, not {theirs} {unit}"
    return f"equal to {best.name}, which params.yaml lists first"


def _excess(row: Row, within: Limits) -> float:
    """The greatest share by which a limit is broken; infinite where the figure is unknown."""
    worst = 0.0
    for limit, figure in limited(within).items():
        bound = getattr(within, limit)
        if bound is not None:
            value = figure.of(row)
            if value is None or not math.isfinite(value):
                return math.inf
            worst = max(worst, ((bound - value) if figure.better == "more" else (value - bound)) / bound)
    return worst
