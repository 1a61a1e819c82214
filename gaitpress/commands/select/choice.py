"""Choose the best variant within limits, and say why the others are not."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gaitpress.params.select import Select
from gaitpress.results.figures import ENERGY, LATENCY, LOSS, LOSS_HIGH, RANK1, SIZE, TAR, TIME, Figure
from gaitpress.results.ordering import order
from gaitpress.results.records import Row

UNITS = {
    "max_latency": {"s": 1e3, "ms": 1.0, "us": 1e-3},
    "max_energy": {"J": 1e3, "mJ": 1.0, "uJ": 1e-3},
    "max_size": {"GB": 1e9, "MB": 1e6, "kB": 1e3, "B": 1.0, "GiB": 2**30, "MiB": 2**20, "KiB": 2**10},
}


@dataclass(frozen=True)
class Limits:
    """The limits that a variant must keep; None where there is no limit.

    Attributes:
        max_latency: median time of a query, ms.
        min_rank1: mean rank-1, %.
        min_tar: true accept rate where 1 % of strangers are accepted, %.
        max_energy: energy of an inference, mJ.
        max_size: size of the engine, bytes.
        people: people that the device must serve at once.
        fps: inferences a second for each person; None: as many as the model takes for a second of video.
        max_loss: points of mean rank-1 that it may be below its dense network.
        sure: whether the upper end of that loss's 95 % interval must be within ``max_loss`` too.
    """

    max_latency: float | None = None
    min_rank1: float | None = None
    min_tar: float | None = None
    max_energy: float | None = None
    max_size: float | None = None
    people: float | None = None
    fps: float | None = None
    max_loss: float | None = None
    sure: bool = False

    @property
    def by_time(self) -> bool:
        """Whether the fastest variant is asked for: by a budget of accuracy, or by a least rank-1 as the only limit."""
        accuracy_alone = replace(NONE, min_rank1=self.min_rank1, fps=self.fps, sure=self.sure)
        return self.max_loss is not None or (self.min_rank1 is not None and self == accuracy_alone)


NONE = Limits()


def served(row: Row, fps: float | None) -> int | None:
    """How many people a device serves at once with a variant; None if unknown.

    By a study of this engine at that many inferences, which kept a limit of latency; else by its fastest measured batch.

    Args:
        row: the variant.
        fps: inferences a second for each person; None: as many as the model takes for a second of video.
    """
    needed = fps or row.get("signature", "inferences_per_video_second")
    if row.study and row.study["asked"]["rate"] == needed:
        return int(row.study["most_people"])
    rates = [row.get("throughput_per_s"), *(row.most_at_once or ())[:1]]
    most = max((rate for rate in rates if rate is not None), default=None)
    return None if most is None or not needed else math.floor(most / needed)


# Next to an option called --max-size, "size" is clear enough.
LIMITED = {
    "max_latency": LATENCY,
    "min_rank1": RANK1,
    "min_tar": TAR,
    "max_energy": ENERGY,
    "max_size": replace(SIZE, title="size"),
    "max_loss": LOSS,
}


def limited(within: Limits) -> dict[str, Figure]:
    """The figure that each limit bounds; how many people a device serves depends on ``within.fps``."""
    people = Figure("people", title="people served", better="more", computed=lambda row: served(row, within.fps))
    return {**LIMITED, "people": people, **({"max_loss": LOSS_HIGH} if within.sure else {})}


@dataclass(frozen=True)
class Choice:
    """The variant that was chosen, or the nearest miss.

    Attributes:
        best: the best variant within the limits; None if there is none.
        nearest: if there is none, the measured variant that misses the limits by least; None if no variant is valid.
        blocking: the limits that ``nearest`` breaks, in words.
        reasons: why each other variant was not chosen, by its key, the closest first.
    """

    best: Row | None
    nearest: Row | None
    blocking: list[str]
    reasons: dict[str, list[str]]


def amount(limit: str, text: str) -> float:
    """The amount of a limit in ms, mJ or bytes, from a text such as "5ms", "10 mJ" or "2.5MB".

    Args:
        limit: a key of UNITS.
        text: the number and its unit.

    Raises:
        ValueError: the text is not a positive number with one of the limit's units.
    """
    units = UNITS[limit]
    match = re.fullmatch(r"([0-9]*\.?[0-9]+) ?([A-Za-z]+)", text.strip())
    if not match or match[2] not in units or not 0 < (value := float(match[1]) * units[match[2]]) < math.inf:
        raise ValueError(f"{text}: must be a number above 0 with a unit, {', '.join(units)}; such as 5{list(units)[1]}")
    return value


def limits(settings: Select) -> Limits:
    """The limits of the section ``select`` of params.yaml, without its budget, which counts where there is no limit."""
    texts = {limit: getattr(settings, limit) for limit in UNITS}
    amounts = {limit: amount(limit, text) for limit, text in texts.items() if text is not None}
    numbers = {key: getattr(settings, key) for key in ("min_rank1", "min_tar", "people", "fps")}
    return Limits(**numbers, **amounts, sure=settings.sure)


def choose(rows: Sequence[Row], within: Limits) -> Choice:
    """The most accurate variant that keeps all limits, or the fastest where :attr:`Limits.by_time` says so.

    Among equals it takes the faster one, then the one of less energy, then the smaller one, then the first. A missing figure
    fails its limit. It leaves out variants with invalid times and lower precisions that are not worth it. Limits are on an
    inference. Speeds are compared per second of video, which is fair to models that look at different spans of time.
    """
    faults_of = {row.key: faults(row, within) for row in rows}
    by_time = within.by_time
    measured = [row for row in rows if _measured(row)]
    passing = sorted((row for row in measured if not faults_of[row.key]), key=lambda row: order(row, by_time))
    failing = sorted(
        (row for row in measured if faults_of[row.key]), key=lambda row: (_excess(row, within), order(row, False))
    )
    best, nearest = (passing[0], None) if passing else (None, failing[0] if failing else None)
    chosen = best or nearest
    reasons = {row.key: row.reasons for row in rows if chosen and row.same_as and row.same_as.key == chosen.key}
    reasons |= {row.key: [_worse(row, best, by_time)] for row in passing if best and row is not best}
    rest = [*failing, *(row for row in rows if not _measured(row))]
    reasons |= {row.key: faults_of[row.key] for row in rest if row is not nearest}
    return Choice(best, nearest, faults_of[nearest.key] if nearest else [], reasons)


def _measured(row: Row) -> bool:
    """Whether a variant may be chosen and has figures to compare."""
    return row.eligible and row.plotted


def faults(row: Row, within: Limits) -> list[str]:
    """Why a variant cannot be chosen; empty if it can."""
    if row.same_as:
        return row.reasons  # the variant that it stands for may be chosen
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
        reason = {"max_energy": row.get("energy_reason"), "max_loss": row.loss.unknown if row.loss else None}.get(limit)
        why = f" ({reason})" if reason else ""
        return f"{figure.title} unknown{why}, and at {'least' if least else 'most'} {figure.limit(bound)} is asked for"
    if least:
        return f"{figure.title} {figure.limit(value)} is below {figure.limit(bound)}" if value < bound else None
    return f"{figure.title} {figure.limit(value)} is above {figure.limit(bound)}" if value > bound else None


def _worse(row: Row, best: Row, by_time: bool) -> str:
    """The first respect in which a variant that keeps all limits is worse than the best."""
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
        if values[0] != values[1]:
            text, best_text = _apart(*values)
            return f"{word} than {best.name}: {text}, not {best_text} {unit}"
    return f"equal to {best.name}, which params.yaml lists first"


def _apart(one: float | None, other: float | None) -> tuple[str, str]:
    """Two different figures in three digits, or in as many as tell them apart."""
    for digits in (3, 4, 6):
        text, other_text = ("unknown" if value is None else f"{value:.{digits}g}" for value in (one, other))
        if text != other_text:
            return text, other_text
    return repr(one), repr(other)


def _excess(row: Row, within: Limits) -> tuple[int, float]:
    """How many limits a variant breaks by a missing figure, and the greatest share by which it breaks another."""
    missing, worst = 0, 0.0
    for limit, figure in limited(within).items():
        bound = getattr(within, limit)
        if bound is not None:
            value = figure.of(row)
            if value is None or not math.isfinite(value):
                missing += 1
                continue
            # A loss may be forbidden altogether: then its points count.
            worst = max(worst, ((bound - value) if figure.better == "more" else (value - bound)) / (bound or 1))
    return missing, worst
