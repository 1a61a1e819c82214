"""The time that `prune.mode: latency` prunes a network to, by the table of the stage `times`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress.pruning.select import Selection
from compress.pruning.time_budget import widths_within
from compress.pruning.times import TimeModel
from gaitpress import outputs
from gaitpress.errors import StageError
from gaitpress.params.prune import Prune

TIME_TOLERANCE = 0.05  # of a time that was asked for


@dataclass(frozen=True)
class TimeTarget:
    """The time that a network is pruned to, in ``mode: latency``.

    Attributes:
        device: an entry of devices.yaml.
        times: how long networks take there, by their widths.
        dense_ms: the time of the full network.
        error: how far such times are from measured ones: what 9 of 10 networks do not exceed, as a share.
        percentile: how much of the full network's time goes.
        settings: the section ``prune`` of params.yaml.
    """

    device: str
    times: TimeModel
    dense_ms: float
    error: float
    percentile: float
    settings: Prune

    @classmethod
    def read(cls, tables: Path, model: str, percentile: float, settings: Prune) -> TimeTarget | None:
        """The target by a model's table of times; None in other modes than latency.

        Args:
            tables: the folder of all devices' tables.
            model: entry of `model` in params.yaml.
            percentile: how much of the time goes.
            settings: the section ``prune`` of params.yaml.

        Raises:
            StageError: the table is missing, or is none.
        """
        if settings.mode != "latency":
            return None
        path = tables / settings.device / f"{model}.json"
        table = outputs.read_json(path)
        if not table["needed"]:
            raise StageError(f"{path}: holds no times; run `dvc repro times@{settings.device}-{model}`")
        times, error = TimeModel.of_json(table["times"]), table["error"]["p90"]
        return cls(settings.device, times, table["dense_ms"], error, percentile, settings)

    @property
    def share(self) -> float:
        """How much of the full network's time is left."""
        return 1 - self.percentile / 100

    def widths(self, importances: Mapping[str, np.ndarray]) -> dict[str, int]:
        """How many filters each layer keeps, by the importances of its filters."""
        rounding = self.settings.round_to, self.settings.keep_min
        return widths_within(self.times, importances, self.share, self.dense_ms, *rounding)

    def reached(self, selections: Mapping[str, Selection]) -> dict[str, Any]:
        """The times asked for and predicted, for pruning.json."""
        widths = {name: len(chosen.kept) for name, chosen in selections.items()}
        predicted_ms = self.times.predict(widths) if self.percentile else self.dense_ms
        return {
            "device": self.device,
            "dense_ms": self.dense_ms,
            "asked_ms": round(self.share * self.dense_ms, 5),
            "predicted_ms": round(predicted_ms, 5),
            "error": self.error,
        }


def time_warnings(time: Mapping[str, Any]) -> list[str]:
    """A sentence for each reason why a network may take another time than was asked for."""
    lines = []
    if time["predicted_ms"] < (1 - TIME_TOLERANCE) * time["asked_ms"]:
        lines.append(
            f"{time['predicted_ms']:.4g} ms is the nearest to {time['asked_ms']:.4g} ms that its widths allow; a smaller "
            "prune.round_to may come nearer"
        )
    if time["error"] > TIME_TOLERANCE:
        lines.append(
            f"times on {time['device']} are predicted within {100 * time['error']:.1f} % only; was it busy when they were "
            f"measured? `dvc repro -f -s times@{time['device']}-...` measures them again"
        )
    return lines
