"""The sections `threads` and `resources`: the limits of a job."""

from __future__ import annotations

from typing import Annotated

from gaitpress.params.values import Natural, Positive, Section, limit


class Threads(Section):
    dataset: Positive
    preprocess: Positive
    train: Positive
    finetune: Positive
    evaluate: Positive
    export: Positive
    quantize: Positive
    build: Positive
    recognise: Positive


class Needs(Section):
    """The limits of a job, beside its threads; the scheduler of a cluster plans with them, and stops jobs that exceed them.

    Attributes:
        mem: memory, such as 8GB.
        runtime: the longest time, such as 90m or 2d.
        gpu: GPUs of each of its processes.
    """

    mem: Annotated[str, limit("GB", "MB", "GiB", "MiB")] | None = None
    runtime: Annotated[str, limit("d", "h", "m")] | None = None
    gpu: Natural | None = None


class Resources(Section):
    """The limits by stage, for the stages that a cluster runs; no result depends on them."""

    dataset: Needs = Needs()
    preprocess: Needs = Needs()
    partition: Needs = Needs()
    train: Needs = Needs()
    needs: Needs = Needs()
    prune: Needs = Needs()
    finetune: Needs = Needs()
    export: Needs = Needs()
    quantize: Needs = Needs()
