# The DAG of dvc.yaml, run in parallel or on a cluster: `snakemake --cores 8 all`.
# Every stage of dvc.yaml becomes one rule; each job lets DVC run that stage if, and only if, its content is out of date.
import os
import re
import sys
from contextlib import nullcontext
from pathlib import Path

sys.path.insert(0, workflow.basedir)
from workflow.command_line import runs_jobs
from workflow.status_query import StatusQuery

# DVC needs a second to get ready, which is all that is read here and more.
restores = runs_jobs(sys.argv)
query = (
    StatusQuery(restores, Path("logs/status.log")) if workflow.is_main_process else None
)

from remote import inventory
from remote.errors import DeviceError
from stages.params import ParamsError
from stages.params import load as load_params
from workflow import scheduling, snakemake_lock, time_stamps
from workflow.dvc_stages import Pipeline, PipelineError, read_yaml

try:
    with query or nullcontext():
        load_params("params.yaml")  # complains with the key and what is allowed
        params = read_yaml("params.yaml")
        pipeline = Pipeline.read("dvc.yaml", params)
        wanted = set()
        if query:
            running = snakemake_lock.hold(Path(".snakemake"))
            if restores:
                # Results that DVC knows are brought back here by one process: a job each would take a hundred times its start.
                wanted = pipeline.needed(sys.argv[1:])
            else:
                running.close()
        stale = pipeline.outdated(query.answer(wanted)) if query else set()
    on_this_machine = {
        name
        for name, device in inventory.load("remote/devices.yaml").items()
        if device.transport == "local"
    }
except (ParamsError, DeviceError, PipelineError) as error:
    sys.exit(f"error: {error}")

# Newer than any output, and its content is never the same: a job that reads it runs.
marker = Path(".snakemake/out-of-date")
if workflow.is_main_process:
    time_stamps.mark(marker, pipeline.targets())


def resource_of(device):
    return "device_" + re.sub(r"\W", "_", device)


# Jobs of a cluster are limited in number, and not by cores.
on_cluster = workflow.resource_settings.nodes is not None

# A device does one job at a time, whatever the number of cores here.
for device in params["devices"]:
    workflow.global_resources.setdefault(resource_of(device), 1)

# Nor do two jobs share the GPUs of this machine, if there are any; those of a cluster are its scheduler's business.
if workflow.is_main_process and not on_cluster:
    has_gpu = any(Path("/proc/driver/nvidia/gpus").glob("*"))
    workflow.global_resources.setdefault("gpu", int(has_gpu))

# Where jobs go to a cluster these stay: the devices are reached from here, one of them is this machine, and so is MLflow.
HERE = {"probe", "build", "benchmark", "recognise", "report", "track"}
# --cores says nothing there, so their threads are counted apart.
if on_cluster:
    workflow.global_resources.setdefault("cores_here", os.cpu_count())


def inputs(name):
    def of(wildcards):
        files = [*pipeline.deps(name, wildcards), str(marker)]
        out_of_date = pipeline.stages[name].address(wildcards) in stale
        return files if out_of_date else [ancient(file) for file in files]

    return of


def outputs(stage):
    made = [out if Path(out).suffix else directory(out) for out in stage.outs]
    if stage.name == "report":
        # What `snakemake --report` shows beside the course of the run.
        shown = ["{name}.html", "{name}.svg", "{name}.csv"]
        return [report(out, patterns=shown, category="Results") for out in made]
    return made


def processes_of(name):
    """How many processes of a stage work together, each with its threads and GPUs."""
    return params["train"]["processes"] if name in ("train", "finetune") else 1


def threads_of(name):
    def of(wildcards):
        # Nothing else may run while this machine itself is being measured; an engine is tested with all its cores.
        if name in ("benchmark", "recognise") and wildcards.device in on_this_machine:
            return workflow.resource_settings.cores or os.cpu_count()
        return params["threads"].get(name, 1) * processes_of(name)

    return of


def resources_of(stage):
    """What a job takes beside its threads: memory, time and GPUs as params.yaml has them, and its device."""
    declared = params.get("resources", {}).get(stage.name, {})
    taken = {name: value for name, value in declared.items() if value is not None}
    if "gpu" in taken:
        taken["gpu"] *= processes_of(stage.name)
    if stage.name in HERE and on_cluster:
        taken["cores_here"] = threads_of(stage.name)
    if "device" in stage.axes:
        for device in params["devices"]:
            taken[resource_of(device)] = lambda wildcards, device=device: int(
                wildcards.device == device
            )
    return taken


def priority_of(stage):
    def of(wildcards):
        if "device" in stage.axes and wildcards["device"] not in on_this_machine:
            # No board is kept waiting: it does one job at a time, which needs hardly any of a core here.
            return 1000
        # The longest way to the end comes first, and last what is measured here, which takes all cores.
        return pipeline.height(stage.address(wildcards))

    return of


wildcard_constraints:
    # Names may hold dots and dashes, numbers may be fractions; none holds a slash.
    device=r"[^/]+",
    model=r"[a-z][a-z0-9_]*",
    modality=r"[^/]+",
    percentile=r"[0-9.]+",
    precision=r"[a-z0-9]+",


onstart:
    scheduling.lift_default_limit(workflow.scheduler)


rule all:
    input:
        pipeline.targets(),


for stage in pipeline.stages.values():

    rule:
        name:
            stage.name
        input:
            inputs(stage.name),
        output:
            outputs(stage),
        log:
            stage.log(),
        priority: priority_of(stage)
        localrule: stage.name in HERE
        threads: threads_of(stage.name)
        resources:
            **resources_of(stage),
        params:
            address=lambda wildcards, stage=stage: stage.address(wildcards),
        shell:
            'python -m workflow.run_stage {params.address:q} --on "$(uname -n)" > {log:q} 2>&1'
            " || {{ tail -n 25 {log:q} >&2; exit 1; }}"
