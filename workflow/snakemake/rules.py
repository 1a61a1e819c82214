"""The content of each stage's rule: inputs and outputs, the resources of its jobs, and their priority."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from workflow.dvc.stages import Pipeline, Stage
from workflow.snakemake.session import Session, ancient, directory, has_gpu, report
from workflow.snakemake.time_left import Job, TimeLeft

# Jobs of these stages never go to a cluster: this machine reaches the devices, may be a device itself, and reaches MLflow.
HERE = {"runtime", "probe", "times", "build", "benchmark", "recognise", "report", "track"}
BESIDE_OTHERS = "recognise"  # measures no time, so its jobs share a device that is a processor
# Patterns of the axes: names may hold dots and dashes, numbers may be fractions; none holds a slash.
AXES = {
    "device": r"(?!none/)[^/]+",  # untimed makes the files of `none`, which stands for no device
    "model": r"[a-z][a-z0-9_]*",
    "modality": r"[^/]+",
    "percentile": r"[0-9.]+",
    "precision": r"[a-z0-9]+",
}
OfJob = Callable[[Any], Any]  # a function of a job's wildcards


@dataclass(frozen=True)
class Rules:
    """The rules of a pipeline.

    Attributes:
        pipeline: the stages of dvc.yaml.
        params: the content of params.yaml.
        stale: the addresses of the jobs that are out of date.
        asked_for: the addresses of the jobs that the command line asks for, and of all before them.
        marker: a file that is newer than any output.
        on_this_machine: the devices that are this machine.
        on_this_processor: those of them whose engines run on its processor, several at once.
        session: this run of Snakemake.
    """

    pipeline: Pipeline
    params: Mapping[str, Any]
    stale: Collection[str]
    asked_for: Collection[str]
    marker: Path
    on_this_machine: Collection[str]
    on_this_processor: Collection[str]
    session: Session

    def limit_resources(self) -> None:
        """Tell Snakemake how much of each resource running jobs may take together."""
        for device in self.params["devices"]:
            self.session.limit(resource_of(device), self._whole(device))
        if self.session.on_cluster:
            # --cores means nothing there, so the threads of the jobs that stay here have a limit of their own.
            self.session.limit("cores_here", os.cpu_count() or 1)
        elif self.session.main:
            # Two jobs never share the GPUs of this machine, if it has any; a cluster's scheduler takes care of its own.
            self.session.limit("gpu", int(has_gpu()))

    def print_time_left(self) -> None:
        """Let Snakemake print how long the run will still take; not on a cluster, whose scheduler lets jobs wait."""
        if self.session.on_cluster:
            return
        items = {stage.address(item): (stage, item) for stage in self.pipeline.stages.values() for item in stage.items()}
        jobs = []
        for address, after in self.pipeline.in_running_order():
            if address in self.stale and address in self.asked_for:
                stage, item = items[address]
                alone = item.get("device") if stage.name != BESIDE_OTHERS else None
                jobs.append(Job(address, tuple(after), self.threads(stage)(SimpleNamespace(**item)), alone))

        def address_of(rule: str, wildcards: Mapping[str, str]) -> str | None:
            stage = self.pipeline.stages.get(rule)
            return stage.address(wildcards) if stage else None

        self.session.print_time_left(TimeLeft(jobs, self.session.cores, self.params["devices"]), address_of)

    def inputs(self, stage: Stage) -> OfJob:
        """The outputs of other jobs that a job reads, and the marker; their dates count only if the job is out of date."""

        def inputs_of(wildcards: Any) -> list[Any]:
            files = [*self.pipeline.deps(stage.name, wildcards), str(self.marker)]
            return files if stage.address(wildcards) in self.stale else [ancient(file) for file in files]

        return inputs_of

    def outputs(self, stage: Stage) -> list[Any]:
        """The outputs as dvc.yaml has them; a name without a suffix is a folder."""
        outs = [out if Path(out).suffix else directory(out) for out in stage.outs]
        if stage.name == "report":
            # `snakemake --report` shows these files beside the course of the run.
            patterns = ["{name}.html", "{name}.svg", "{name}.csv"]
            return [report(out, patterns=patterns, category="Results") for out in outs]
        return outs

    def stays_here(self, stage: Stage) -> bool:
        """Whether jobs of a stage never go to a cluster."""
        return stage.name in HERE

    def threads(self, stage: Stage) -> OfJob:
        """The number of threads that a job takes."""

        def threads_of(wildcards: Any) -> int:
            # Nothing else may run while a job measures this machine itself.
            if stage.name in ("times", "benchmark") and wildcards.device in self.on_this_machine:
                return self.session.cores
            return self.params["threads"].get(stage.name, 1) * self._processes(stage)

        return threads_of

    def resources(self, stage: Stage) -> dict[str, Any]:
        """The resources of a job beside its threads: memory, time and GPUs as params.yaml has them, and its device."""
        declared = self.params.get("resources", {}).get(stage.name, {})
        taken = {name: value for name, value in declared.items() if value is not None}
        if "gpu" in taken:
            taken["gpu"] *= self._processes(stage)
        if self.stays_here(stage) and self.session.on_cluster:
            taken["cores_here"] = self.threads(stage)
        if "device" in stage.axes:
            for device in self.params["devices"]:
                share = 1 if stage.name == BESIDE_OTHERS else self._whole(device)
                taken[resource_of(device)] = lambda job, device=device, share=share: share * (job.device == device)
        return taken

    def priority(self, stage: Stage) -> OfJob:
        """The priority of a job: of the jobs that could start, the one with the highest number does."""

        def priority_of(wildcards: Any) -> int:
            if "device" in stage.axes and wildcards["device"] not in self.on_this_machine:
                # No board should wait: it does one job at a time, which needs hardly any of a core here.
                return 1000
            # The job with the longest way to the end comes first; measurements on this machine take all cores and come last.
            return self.pipeline.height(stage.address(wildcards))

        return priority_of

    def _whole(self, device: str) -> int:
        """How much of a device a job takes that has it alone; a board does one job at a time, whatever the cores here."""
        return self.session.cores if device in self.on_this_processor else 1

    def _processes(self, stage: Stage) -> int:
        """The number of processes of a job that work together, each with its own threads and GPUs."""
        return self.params["train"]["processes"] if stage.name in ("train", "finetune") else 1


def resource_of(device: str) -> str:
    """The name of the resource of which a device has exactly one: as the device's, where that is a name in Python."""
    # No device's name has capitals, so a-b and a_b stay apart.
    return "device_" + re.sub(r"\W", "_", device.replace("_", "_U_"))
