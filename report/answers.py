"""The fastest variant of each model that loses at most so many points of mean rank-1 against its dense network."""

from __future__ import annotations

from collections.abc import Sequence

from gaitpress.params.select import Select
from gaitpress.results import records, words
from gaitpress.results.figures import LOSS, TIME
from gaitpress.results.ordering import fastest_within
from gaitpress.results.records import Row


def budget(settings: Select) -> str:
    """The budget in words, such as "within 1 point of the dense network"; "" if there is none."""
    if settings.max_loss is None:
        return ""
    sure = ", for sure," if settings.sure else ""
    return f"within {LOSS.limit(settings.max_loss)} of mean rank-1{sure} of the dense network"


def by_device(rows: Sequence[Row], settings: Select) -> dict[str, list[tuple[str, str]]]:
    """For each device, the fastest variants of its models within the budget, the fastest first: their names and losses."""
    return {device: _answers(listed, settings) for device, listed in records.by_device(rows).items()}


def _answers(rows: Sequence[Row], settings: Select) -> list[tuple[str, str]]:
    if settings.max_loss is None:
        return []
    parts = ((row, (words.faster(row), words.loss(row, settings.max_loss))) for row in fastest(rows, settings))
    return [(row.name, ", ".join(filter(None, phrases))) for row, phrases in parts]


def fastest(rows: Sequence[Row], settings: Select) -> list[Row]:
    """The fastest variants of one device's models within the budget, the fastest first; none without a budget."""
    if settings.max_loss is None:
        return []
    models = dict.fromkeys(row.model for row in rows)
    of_model = ([row for row in rows if row.model == model] for model in models)
    best = [row for own in of_model if (row := fastest_within(own, settings.max_loss, settings.sure))]
    return sorted(best, key=TIME.of)
