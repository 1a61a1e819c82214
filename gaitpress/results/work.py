"""Pruning and training of the models that params.yaml lists: filters layer by layer, and curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gaitpress import outputs
from gaitpress.params import Params
from gaitpress.results.folders import Folders

COUNTERS = ("iteration", "epoch")
POINTS = 200  # of a curve; a longer curve is averaged over as many equal stretches


@dataclass(frozen=True)
class Curve:
    """One training.

    Attributes:
        model, name: the model, and "training" or "fine-tuning, p30".
        counter: what it counts: "iteration" or "epoch".
        metrics: for each metric, such as "loss", [step, value] of each point.
        rows: the number of rows of its history; more than points if they were averaged.
    """

    model: str
    name: str
    counter: str
    metrics: Mapping[str, list[list[float]]]
    rows: int


def curves(folders: Folders, settings: Params) -> list[Curve]:
    """The training of each model, then its fine-tunings by percentile; it leaves out those without a history."""
    trainings = []
    for model in settings.models:
        places = {"training": folders.train / model}
        places |= {f"fine-tuning, p{p}": folders.finetune / model / f"p{p}" for p in settings.prune.percentiles}
        for name, place in places.items():
            if (place / "history.json").exists():
                trainings.append(curve(model, name, outputs.read_json(place / "history.json")))
    return [training for training in trainings if training.metrics]


def curve(model: str, name: str, history: Sequence[Mapping[str, float]]) -> Curve:
    """The curve of the rows of a history.json. Steps count on over all phases of a training."""
    counter = next((key for key in COUNTERS if history and key in history[0]), "row")
    keys = dict.fromkeys(key for row in history for key in row if key not in COUNTERS)
    stretch = max(1, math.ceil(len(history) / POINTS))
    metrics: dict[str, list[list[float]]] = {key: [] for key in keys}
    for first in range(0, len(history), stretch):
        part = history[first : first + stretch]
        for key in keys:
            values = [row[key] for row in part if key in row and math.isfinite(row[key])]
            if values:
                metrics[key].append([first + len(part), float(f"{sum(values) / len(values):.5g}")])
    return Curve(model, name, counter, {key: points for key, points in metrics.items() if points}, len(history))


def pruning(folders: Folders, settings: Params) -> dict[str, dict[str, Any]]:
    """The content of each model's pruning.json at each percentile, by "gaitset/p30"; it leaves out missing files."""
    names = [f"{model}/p{percentile}" for model in settings.models for percentile in settings.prune.percentiles]
    files = {name: folders.prune / name / "pruning.json" for name in names}
    return {name: outputs.read_json(file) for name, file in files.items() if file.exists()}
