"""The section `mlflow`."""

from __future__ import annotations

from gaitpress.params.values import Section


class MLflow(Section):
    tracking_uri: str
    experiment: str

    @property
    def training_experiment(self) -> str:
        """The experiment that holds the curves of trainings."""
        return f"{self.experiment}-training"
