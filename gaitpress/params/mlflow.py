"""The section `mlflow`."""

from __future__ import annotations

from gaitpress.params.values import Section, Text


class MLflow(Section):
    tracking_uri: Text
    experiment: Text

    @property
    def training_experiment(self) -> str:
        """The experiment that holds the curves of trainings."""
        return f"{self.experiment}-training"
