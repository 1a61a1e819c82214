"""Read what a Snakefile needs before it has rules: the pipeline, its parameters, and which jobs are out of date."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflow.snakemake.command_line import runs_jobs
from workflow.snakemake.session import Session
from workflow.snakemake.status_query import StatusQuery

if TYPE_CHECKING:
    from workflow.snakemake.rules import Rules

NOTES = Path(".snakemake")  # Snakemake's own folder


def read(workflow: Any, command_line: Sequence[str]) -> Rules:
    """The rules for dvc.yaml and params.yaml; if jobs are to run, restore the results that DVC knows.

    A fault in one of the files ends the process with a message.

    Args:
        workflow: the object of that name in a Snakefile.
        command_line: as in ``sys.argv``.
    """
    session = Session(workflow)
    restores = runs_jobs(command_line)
    # DVC needs a second to get ready, longer than all the reading below. So the query starts before the rest is loaded.
    query = StatusQuery(restores, Path("logs/status.log")) if session.main else None

    from gaitpress.params import ParamsError
    from gaitpress.params import load as load_params
    from remote import inventory
    from remote.errors import DeviceError
    from remote.runtimes import room_of
    from tracking.addresses import untracked
    from workflow.dvc import links
    from workflow.dvc.stages import Pipeline, PipelineError, read_yaml
    from workflow.snakemake import lock, time_stamps
    from workflow.snakemake.rules import Rules

    stale: set[str] = set()
    asked_for: set[str] = set()
    try:
        with query or nullcontext():
            settings = load_params("params.yaml")  # complains with the key and what is allowed
            params = read_yaml("params.yaml")
            pipeline = Pipeline.read("dvc.yaml", params)
            links.refuse_folders_elsewhere(pipeline.targets())
            if query:
                session.running = lock.hold(NOTES, restores, "--unlock" in command_line)
                if not restores:
                    session.running.close()
                # One process restores all results that DVC knows: a job for each would pay a hundred times for its start.
                asked_for = pipeline.needed(command_line[1:])
                lost = untracked(settings.mlflow, pipeline.stages["track"].outs)
                if restores:
                    for receipt in lost:
                        receipt.unlink()  # so that DVC runs the stage
                changed = query.answer(asked_for if restores else ())
                stale = pipeline.outdated([*changed, "track"] if lost else changed)
                if restores:
                    links.refuse_linked_folders(pipeline.outs_of(stale & asked_for))
        devices = inventory.load("remote/devices.yaml")
    except (ParamsError, DeviceError, PipelineError) as error:
        sys.exit(f"error: {error}")

    marker = NOTES / "out-of-date"
    if session.main:
        time_stamps.mark(marker, pipeline.targets())
    here = {name for name, device in devices.items() if device.transport == "local"}
    on_processor = {name for name in here if room_of(devices[name].runtime).on_processor}
    rules = Rules(pipeline, params, stale, asked_for, marker, here, on_processor, session)
    rules.limit_resources()
    return rules
