"""Bring MLflow in step with the benchmark records: one run for each variant, none twice.

The environment variable MLFLOW_TRACKING_URI overrides mlflow.tracking_uri of params.yaml. A variant that is measured anew
gets a new run, and its old run gets the tag ``superseded``. Runs of variants that params.yaml no longer lists stay, with the
tag ``listed: false``. On a server, runs that colleagues tracked from their copies of the repository stay as they are.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from gaitpress import command_line, outputs, params
from gaitpress.progress import progress
from gaitpress.results.figures import RANK1, SPEEDUP, TIME
from gaitpress.results.folders import Folders
from gaitpress.results.records import load
from tracking import workplaces
from tracking.addresses import address, local_store, without_credentials
from tracking.runs import Run, described
from tracking.server import CURRENT, RUNS_PAGE, TrackingServer
from tracking.trainings import Trainings
from tracking.workplaces import Workplace

NOTE = f"""[Show the runs]({RUNS_PAGE}): one a variant, which is a model at a pruning percentile and a precision on a device.

- `make mlflow` opens the comparison of what params.yaml describes now; that is
  `{CURRENT}`.
- Tick runs and press *Compare*: `{RANK1.name}` against `{TIME.name}` is the trade-off, `{SPEEDUP.name}` is against the
  unpruned fp32 of the same model and device. Runs with `tags.valid = "false"` have times that should not be used.
- `tags.data` and `tags.evidence` say whose data and what hardware the figures are of.
"""


def track(results: Path, receipt: Path, settings: params.Params) -> dict[str, Any]:
    """Log the variants that params.yaml lists and write the receipt.

    Returns:
        The receipt: the tracking address without credentials, the experiment, and content key and run of each variant.

    Raises:
        StageError: there are no records, or the tracking server cannot be reached.
    """
    uri, folders = address(settings.mlflow), Folders(results)
    rows = load(folders, settings)
    runs = [described(row, folders) for row in rows if row.status != "missing"]
    server = TrackingServer(uri, settings.mlflow.experiment)
    workplace = workplaces.of(receipt.parent) if local_store(uri) is None else None
    with server.errors_in_one_line():
        server.open()
        server.explain(NOTE.format(server.experiment_id))
        trainings = Trainings(server.client, settings.mlflow.training_experiment)
        logged = _synchronise(server, runs, workplace, trainings)
    result = {"tracking_uri": without_credentials(uri), "experiment": settings.mlflow.experiment, "variants": logged}
    outputs.write_json(receipt, result)
    return result


def _synchronise(
    server: TrackingServer, runs: list[Run], workplace: Workplace | None, trainings: Trainings
) -> dict[str, Any]:
    """Log the runs that are not logged yet, and mark those that are out of date."""
    tracked = server.runs()
    commit = _commit()
    logged = {}
    for run in progress(runs, len(runs), "tracked variants"):
        earlier_runs = tracked.get(run.variant, [])
        parent = trainings.parent(run)
        logged_before = next((old for old in earlier_runs if old.content_key == run.content_key and old.complete), None)
        if logged_before:
            run_id = logged_before.run_id
            server.compare_anew(run, logged_before)
            server.take(logged_before, workplace)
            if parent not in (None, logged_before.parent):
                server.name_parent(run_id, parent)
            if not logged_before.listed:
                server.mark_listed(run_id, True)
        else:
            run_id = server.log(run, commit, workplace, parent)
        for old in earlier_runs:
            if old.run_id != run_id:
                server.give_up(old, workplace)
        logged[run.variant] = {"content_key": run.content_key, "run_id": run_id}
    for variant in tracked.keys() - logged.keys():
        for old in tracked[variant]:
            if old.listed:
                server.mark_listed(old.run_id, False)
    return logged


def _commit() -> str | None:
    """The commit that is checked out, if this is a git repository with one."""
    try:
        done = subprocess.run(["git", "rev-parse", "--verify", "-q", "HEAD"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None


def main() -> None:
    parser = command_line.parser(__doc__)
    parser.add_argument("--results", type=Path, required=True, help="directory with the stages' results")
    parser.add_argument("--receipt", type=Path, required=True, help="the JSON file to write: what is logged where")
    options, settings = command_line.parse(parser)
    result = track(options.results, options.receipt, settings)
    print(f"{len(result['variants'])} variants are in experiment {result['experiment']} at {result['tracking_uri']}")


if __name__ == "__main__":
    command_line.run(main)
