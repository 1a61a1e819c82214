"""What to take away of all variants, in three sentences a device: which engine, how fast it is, what it costs in rank-1."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from gaitpress.params.select import Select
from gaitpress.results import digits, figures, words
from gaitpress.results.ordering import within
from gaitpress.results.records import Row, by_device
from report import answers
from report.table import WIDTH


def text(rows: Sequence[Row], settings: Select) -> str:
    """A paragraph for each device, with the command that ships its engine.

    Args:
        rows: the variants of all devices.
        settings: the budget within which the fastest variant is the one to deploy.
    """
    return "\n".join(_paragraph(device, listed, settings) for device, listed in by_device(rows).items())


def _paragraph(device: str, rows: Sequence[Row], settings: Select) -> str:
    """The sentences, and the command that ships the engine."""
    best = None if settings.max_loss is None else next(iter(answers.fastest(rows, settings)), None)
    sentences = textwrap.fill(" ".join(_sentences(device, rows, best, settings)), WIDTH, break_on_hyphens=False)
    ship = f"To ship it: python -m gaitpress bundle --variant {best.key} --out shipped/gait\n" if best else ""
    return f"{sentences}\n{ship}"


def _sentences(device: str, rows: Sequence[Row], best: Row | None, settings: Select) -> list[str]:
    if settings.max_loss is None:
        return [f"On {device}: `python -m gaitpress select` names the best variant by your limits."]
    if best is None:
        return _without_times(device, rows, settings, settings.max_loss)
    low, high = figures.LATENCY_LOW.of(best), figures.LATENCY_HIGH.of(best)
    return [
        f"On {device} deploy {best.name}: of {len(rows)} variants it is the fastest {answers.budget(settings)}.",
        f"A second of video takes {figures.TIME.text(best)} ms of computing, a query {figures.LATENCY.text(best)} ms "
        f"({digits.interval(low, high)})"
        f"{', ' * bool(words.faster(best))}{words.faster(best)}.",
        _accuracy(best, settings.max_loss),
    ]


def _accuracy(row: Row, budget: float) -> str:
    rates = f"{figures.RANK1.text(row)} % ({digits.interval(*row.rank1_interval, 'percent')}) of the probes"
    people = f"{figures.PEOPLE.of(row)} people, {figures.PROBES.of(row)} probes"
    dense = "it is the dense network itself" if row.dense and row.key == row.dense.key else words.loss(row, budget)
    return f"It recognises {rates} (mean rank-1; {people}); {dense}."


def _without_times(device: str, rows: Sequence[Row], settings: Select, budget: float) -> list[str]:
    """What can be said where no variant within the budget has valid times."""
    sentences = [f"On {device} no variant {answers.budget(settings)} has valid times; the table says why."]
    if any(row.status == "ok" and not row.valid for row in rows):
        sentences += [
            "End other programs there, raise benchmark.session in params.yaml, and run again: only times are measured anew."
        ]
    smallest: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: (figures.MACS.of(row) or 0, figures.SIZE.of(row) or 0)):
        if within(row, budget, settings.sure):
            smallest.setdefault(row.model, row)
    if smallest:
        sentences += [f"By rank-1 alone, the smallest within it: {', '.join(row.name for row in smallest.values())}."]
    return sentences
