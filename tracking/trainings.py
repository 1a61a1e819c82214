"""Which run of MLflow is the training that a variant comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gaitpress.results.work import COUNTERS
from tracking.runs import Run


class Trainings:
    """The runs of trainings in an experiment, which need not exist.

    Results do not name their run: they would differ with each, and all that follows from them would be made anew. But no
    other training ends with the very same figures.
    """

    def __init__(self, client: Any, experiment: str) -> None:
        self._client = client
        entity = client.get_experiment_by_name(experiment)
        self._experiment_id = entity.experiment_id if entity and entity.lifecycle_stage == "active" else None

    def parent(self, run: Run) -> str | None:
        """The id of the run of the training that a variant comes from, else of its fine-tuning; None if neither has one.

        Trainings of some seconds have none. Of several with the same figures it is the newest.
        """
        if self._experiment_id is None:
            return None
        return next((run_id for name, last_row in run.trainings.items() if (run_id := self._run_id(name, last_row))), None)

    def _run_id(self, name: str, last_row: Mapping[str, float]) -> str | None:
        runs = self._client.search_runs([self._experiment_id], f"attributes.run_name = '{name}'")
        figures = {key: float(value) for key, value in last_row.items() if key not in COUNTERS}.items()
        return next((run.info.run_id for run in runs if figures <= run.data.metrics.items()), None)
