"""A registered model of MLflow: its versions, and the names that people know them by, such as "champion"."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracking.server import TrackingServer

MODEL, HITS = "model", "hits.json"  # the folder in a run's artifacts, and a file in it


@dataclass(frozen=True)
class Version:
    """A version of a registered model.

    Attributes:
        number: as MLflow counts them.
        run_id: the run of the variant.
        tags: what it was registered with.
    """

    number: str
    run_id: str
    tags: Mapping[str, str]


class Registry:
    """The versions of the registered model of this name; the server must be connected."""

    def __init__(self, server: TrackingServer, name: str) -> None:
        self.name = name
        self._client = server.client

    def called(self, alias: str) -> Version | None:
        """The version of this alias; None if there is none."""
        from mlflow.exceptions import MlflowException

        try:
            return _version(self._client.get_model_version_by_alias(self.name, alias))
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def hits(self, version: Version) -> Any:
        """The hits of each person that a version was added with."""
        with tempfile.TemporaryDirectory() as scratch:
            path = self._client.download_artifacts(version.run_id, f"{MODEL}/{HITS}", scratch)
            return json.loads(Path(path).read_text(encoding="utf-8"))

    def add(self, bundle: Path, loader: Path, hits: Any, run_id: str, tags: Mapping[str, str]) -> Version:
        """Register a bundle as a version, or return the version that this run has already.

        Args:
            bundle: the folder of the bundle.
            loader: the module that loads it.
            hits: of each person, as the record has them.
            run_id: the run of the variant, which keeps the files.
            tags: of the version.
        """
        from mlflow import pyfunc
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        for version in self._client.search_model_versions(f"name = '{self.name}' and run_id = '{run_id}'"):
            return _version(version)
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / MODEL
            pyfunc.save_model(
                path,
                loader_module=loader.stem,
                code_paths=[str(loader)],
                data_path=str(bundle),
                pip_requirements=str(bundle / "requirements.txt"),
            )
            (path / HITS).write_text(json.dumps(hits), encoding="utf-8")
            self._client.log_artifacts(run_id, str(path), MODEL)
        # By the run, whose artifacts may move.
        return _version(self._client.create_model_version(self.name, f"runs:/{run_id}/{MODEL}", run_id, tags=dict(tags)))

    def call(self, version: Version, alias: str) -> None:
        """Give a version an alias, which another version may have had."""
        self._client.set_registered_model_alias(self.name, alias, version.number)


def _version(version: Any) -> Version:
    return Version(str(version.version), version.run_id, dict(version.tags))
