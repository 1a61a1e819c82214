"""The parts of an MLflow tracking server, or of its SQLite file, that Gaitpress uses."""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaitpress.errors import StageError
from gaitpress.results.figures import RELATIVE
from tracking import sqlite_file, workplaces
from tracking.addresses import ESCAPED, SQLITE, check_reachable, cleared, is_server, local_store, without_credentials
from tracking.runs import Run
from tracking.workplaces import Workplace

PAGE = 1000
METRICS_A_CALL = 1000  # with parameters among them; MLflow refuses more
DIGEST_LENGTH = 36  # of a dataset; MLflow refuses a longer digest
LAST_STEP = "last_step"
# The runs that params.yaml describes now, in MLflow's language of searches.
CURRENT = 'tags.superseded = "false" and tags.listed = "true"'
# Where MLflow's pages have the runs of an experiment. Without the option they open as those for language models.
RUNS_PAGE = "#/experiments/{}/runs?workflowType=machine_learning"
NOTE = "mlflow.note.content"
PARENT = "mlflow.parentRunId"
# The packages that bring the modules of drivers of databases, where the names differ.
PACKAGES = {"psycopg2": "psycopg2-binary", "psycopg": "psycopg[binary]", "MySQLdb": "mysqlclient"}
# The kind of an experiment; MLflow also has "genai_development". Kinds that its pages have guessed end in INFERRED.
KIND, MODEL_DEVELOPMENT, INFERRED = "mlflow.experimentKind", "custom_model_development", ("_inferred", "no_inferred_type")


@dataclass(frozen=True)
class LoggedRun:
    """The facts of a run that MLflow has."""

    run_id: str
    content_key: str
    complete: bool
    superseded: bool
    listed: bool
    relative: Mapping[str, float]
    optimal: bool
    workplaces: frozenset[str]  # tags of those that have it as their own; none in a store of one person
    parent: str | None


@dataclass(frozen=True)
class Row:
    """Metrics of a training after a step, which counts from 1, and their time, in ms since 1970."""

    step: int
    time_ms: int
    values: Mapping[str, float]


class TrackingServer:
    """An experiment on a tracking server; call :meth:`open` or :meth:`find` first."""

    def __init__(self, uri: str, experiment: str) -> None:
        self.uri, self.experiment = uri, experiment

    @contextmanager
    def errors_in_one_line(self) -> Iterator[None]:
        """Turn the errors that MLflow raises into a StageError of one line."""
        _quiet()
        from mlflow.exceptions import MlflowException
        from requests.exceptions import RequestException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, RequestException, SQLAlchemyError) as error:
            text = sqlite_file.fault(str(error)) or _of_another_version(str(error), self.uri) or str(error)
            text = " ".join(cleared(text, self.uri).split())
            raise StageError(f"MLflow at {without_credentials(self.uri)}: {text[:400]}") from None

    def open(self) -> None:
        """Connect, and make the experiment if it does not exist."""
        check_reachable(self.uri)
        if self.uri.startswith(SQLITE) and "?" not in self.uri:  # MLflow handles an address with options itself
            sqlite_file.create(Path(self.uri.removeprefix(SQLITE)), _make_tables)
        self._client = _client(self.uri)
        self._take(self._client.get_experiment_by_name(self.experiment) or self._create())

    def find(self) -> bool:
        """Connect if the experiment exists, and say whether it does; it makes nothing."""
        check_reachable(self.uri)
        file = local_store(self.uri)
        if file is not None and not file.exists():
            return False
        self._client = _client(self.uri)
        experiment = self._client.get_experiment_by_name(self.experiment)
        if experiment is None:
            return False
        self._take(experiment)
        return True

    def _take(self, experiment: Any) -> None:
        """Use an experiment, and set its kind, unless somebody set it."""
        if experiment.lifecycle_stage != "active":
            raise StageError(
                f"MLflow at {without_credentials(self.uri)}: experiment {self.experiment} was deleted; restore it "
                f"(`mlflow experiments restore --experiment-id {experiment.experiment_id}`) or change mlflow.experiment"
            )
        self.experiment_id = experiment.experiment_id
        if (database := self._database()) is not None:
            sqlite_file.bring_artifacts_along(database, self.experiment, self.experiment_id, experiment.artifact_location)
        kind = experiment.tags.get(KIND)
        if not kind or kind.endswith(INFERRED):
            self.tag(KIND, MODEL_DEVELOPMENT)

    @property
    def client(self) -> Any:
        """MLflow's own client."""
        return self._client

    def tag(self, key: str, value: str) -> None:
        """Set a tag of the experiment."""
        self._client.set_experiment_tag(self.experiment_id, key, value)

    def untag(self, key: str) -> None:
        """Remove a tag of the experiment."""
        self._client.delete_experiment_tag(self.experiment_id, key)

    def _create(self) -> Any:
        """Make the experiment, unless another process is faster."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_experiment(self.experiment, artifact_location=self._artifacts())
        except MlflowException:
            if self._client.get_experiment_by_name(self.experiment) is None:
                raise
        return self._client.get_experiment_by_name(self.experiment)

    def _artifacts(self) -> str | None:
        """The address of artifacts beside an SQLite file; None for a server's own."""
        database = self._database()
        return None if database is None else sqlite_file.artifacts(database, self.experiment).as_uri()

    def _database(self) -> Path | None:
        """The SQLite file; None for a server."""
        return local_store(self.uri) if self.uri.startswith(SQLITE) else None

    def runs(self) -> dict[str, list[LoggedRun]]:
        """The logged runs of Gaitpress by variant, newest first."""
        runs: dict[str, list[LoggedRun]] = {}
        token = None
        while True:
            page = self._client.search_runs([self.experiment_id], max_results=PAGE, page_token=token)
            for run in page:
                tags = run.data.tags
                if "variant" in tags and "content_key" in tags:
                    metrics = run.data.metrics
                    logged = LoggedRun(
                        run.info.run_id,
                        tags["content_key"],
                        run.info.status in ("FINISHED", "FAILED"),
                        tags.get("superseded") == "true",
                        tags.get("listed") != "false",
                        {figure.name: metrics[figure.name] for figure in RELATIVE if figure.name in metrics},
                        tags.get("pareto_optimal") == "true",
                        frozenset(tag for tag in tags if tag.startswith(workplaces.TAG)),
                        tags.get(PARENT),
                    )
                    runs.setdefault(tags["variant"], []).append(logged)
            token = page.token
            if not token:
                return runs

    def log(self, run: Run, commit: str | None, workplace: Workplace | None, parent: str | None) -> str:
        """Log a whole run, which counts as running until MLflow has all of it. Returns its id.

        Args:
            run: the variant.
            commit: of git, that is checked out.
            workplace: whose run it is on a server.
            parent: the id of the run of its training.
        """
        from mlflow.entities import Metric, Param

        metrics = {**run.metrics, **run.relative}
        tags = {
            **run.tags,
            "variant": run.variant,
            "content_key": run.content_key,
            "superseded": "false",
            "listed": "true",
            "pareto_optimal": str(run.optimal).lower(),
            NOTE: run.note,
            **({"mlflow.source.git.commit": commit, "git_commit": commit} if commit else {}),
            **({workplace.tag: workplace.owner} if workplace else {}),
            **({PARENT: parent} if parent else {}),
        }
        created = self._client.create_run(self.experiment_id, start_time=run.start_ms, tags=tags, run_name=run.name)
        run_id = created.info.run_id
        points = [Metric(key, value, run.end_ms, 0) for key, value in metrics.items()]
        for prefix, curve in run.curves.items():
            for name, line in curve.metrics.items():
                points += [Metric(f"{prefix}/{name}", value, run.end_ms, int(step)) for step, value in line]
        params = [Param(key, value) for key, value in run.params.items()]
        together = METRICS_A_CALL - len(params)
        self._client.log_batch(run_id, points[:together], params, synchronous=True)
        for first in range(together, len(points), METRICS_A_CALL):
            self._client.log_batch(run_id, points[first : first + METRICS_A_CALL], synchronous=True)
        self._log_dataset(run_id, run)
        self._log_artifacts(run_id, run)
        self._client.set_terminated(run_id, "FAILED" if run.failed else "FINISHED", end_time=run.end_ms)
        return run_id

    def _log_dataset(self, run_id: str, run: Run) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        if run.dataset is not None:
            facts = dict(run.dataset)
            name, digest = facts.pop("name"), facts.pop("digest")
            source = json.dumps({"digest": digest, "modality": facts["modality"]})
            dataset = Dataset(name, digest[:DIGEST_LENGTH], "local", source, profile=json.dumps(facts))
            # MLflow keeps one context of a dataset; a second one is passed over.
            self._client.log_inputs(run_id, datasets=[DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])

    def _log_artifacts(self, run_id: str, run: Run) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            for name, content in run.artifacts.items():
                (Path(scratch) / name).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            if run.views is not None:
                from tracking import views_plot

                views_plot.write_png(Path(scratch) / "rank1_by_view.png", run.views, run.name)
            self._client.log_artifacts(run_id, scratch)
        for file in run.files:
            self._client.log_artifact(run_id, str(file))

    def begin(self, name: str, tags: Mapping[str, str]) -> str:
        """Begin a run that gets its rows one by one. Returns its id."""
        return self._client.create_run(self.experiment_id, tags=dict(tags), run_name=name).info.run_id

    def go_on(self, run_id: str) -> int | None:
        """Go on with an earlier run. Returns the last step that it has, or None if the run no longer exists."""
        from mlflow.exceptions import MlflowException

        try:
            run = self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        if run.info.lifecycle_stage != "active" or run.info.experiment_id != self.experiment_id:
            return None
        self._client.update_run(run_id, status="RUNNING")
        return int(run.data.tags.get(LAST_STEP, 0))

    def tell(self, run_id: str, rows: Sequence[Row]) -> None:
        """Add rows to a run, in as few calls as the server takes."""
        from mlflow.entities import Metric, RunTag

        at_once = METRICS_A_CALL // max([1, *(len(row.values) for row in rows)])
        for first in range(0, len(rows), at_once):
            part = rows[first : first + at_once]
            metrics = [Metric(key, value, row.time_ms, row.step) for row in part for key, value in row.values.items()]
            self._client.log_batch(run_id, metrics, tags=[RunTag(LAST_STEP, str(part[-1].step))], synchronous=True)

    def end(self, run_id: str, status: str) -> None:
        """End a run: FINISHED, FAILED or KILLED."""
        self._client.set_terminated(run_id, status)

    def explain(self, note: str) -> None:
        """Write this description of the experiment, unless somebody wrote one."""
        experiment = self._client.get_experiment(self.experiment_id)
        if not experiment.tags.get(NOTE):
            self.tag(NOTE, note)

    def compare_anew(self, run: Run, logged: LoggedRun) -> None:
        """Update the values of a logged run that depend on other variants' records."""
        for name, value in run.relative.items():
            if value != logged.relative.get(name):
                self._client.log_metric(logged.run_id, name, value)
        if run.optimal != logged.optimal:
            self._client.set_tag(logged.run_id, "pareto_optimal", str(run.optimal).lower())

    def name_parent(self, run_id: str, parent: str) -> None:
        """Link a run to the run of its training."""
        self._client.set_tag(run_id, PARENT, parent)

    def take(self, run: LoggedRun, workplace: Workplace | None) -> None:
        """Mark a run as up to date for a workplace, or for the one person whose store this is."""
        if workplace is not None and workplace.tag not in run.workplaces:
            self._client.set_tag(run.run_id, workplace.tag, workplace.owner)
        if run.superseded:
            self._supersede(run.run_id, False)

    def give_up(self, run: LoggedRun, workplace: Workplace | None) -> None:
        """Mark a run as out of date, unless others have it as their own; one that was interrupted goes to MLflow's bin."""
        if not run.complete:
            if workplace is None or workplace.tag in run.workplaces:
                self._client.delete_run(run.run_id)
            return
        if workplace is not None and workplace.tag in run.workplaces:
            self._client.delete_tag(run.run_id, workplace.tag)
        mine = {workplace.tag} if workplace else run.workplaces
        if not run.superseded and run.workplaces <= mine:
            self._supersede(run.run_id, True)

    def _supersede(self, run_id: str, superseded: bool) -> None:
        self._client.set_tag(run_id, "superseded", str(superseded).lower())

    def mark_listed(self, run_id: str, listed: bool) -> None:
        """Mark whether params.yaml lists a run's variant."""
        self._client.set_tag(run_id, "listed", str(listed).lower())


def _client(uri: str) -> Any:
    _quiet()
    from mlflow import MlflowClient

    shown = without_credentials(uri)
    try:
        return MlflowClient(tracking_uri=uri)
    except ImportError as error:
        if is_server(uri):
            raise
        package = PACKAGES.get(error.name or "", error.name)
        raise StageError(
            f"MLflow at {shown}: its driver is not installed here ({error}); `pip install {package}`, or run a server "
            "before the database and name that (docs/sharing.md)"
        ) from None
    except ValueError:  # the address has letters that Python's reading of addresses refuses
        raise StageError(f"MLflow at {shown}: the address cannot be read; {ESCAPED}") from None


def _of_another_version(message: str, uri: str) -> str | None:
    """What to do about a database that MLflow refuses for its version; None if the message is about something else."""
    version = re.search(r"out-of-date database schema \(found version (\w+)", message)
    if version is None:
        return None
    import mlflow

    if list((Path(mlflow.__file__).parent / "store/db_migrations/versions").glob(f"{version[1]}_*")):
        return f"an older MLflow made it; copy it, then type `mlflow db upgrade {uri}`"
    newer = f"a newer MLflow than {mlflow.__version__}, which is installed here, made it"
    return f"{newer}; install that one, or name another database"


def _make_tables(database: Path) -> None:
    _client(f"{SQLITE}{database}").search_experiments()


def _quiet() -> None:
    """Turn off telemetry, minutes of silent retries, and messages about every database migration."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # the address may hold a password
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # our one line tells what its tracebacks do
