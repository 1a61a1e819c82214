"""The sections `threads` and `resources`: what a job may take."""

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
    """What a job may take, beside its threads; the scheduler of a cluster plans with it, and stops what takes more.

    Attributes:
        mem: memory, such as 8GB.
        runtime: the longest that it may run, such as 90m or 2d.
        gpu: GPUs of each of its processes.
    """

    mem: Annotated[str, limit("GB|MB|GiB|MiB")] | None = None
    runtime: Annotated[str, limit("d|h|m")] | None = None
    gpu: Natural | None = None


class Resources(Section):
    """By stage, of those that a cluster runs; no result depends on it."""

    dataset: Needs = Needs()
    preprocess: Needs = Needs()
    partition: Needs = Needs()
    train: Needs = Needs()
    needs: Needs = Needs()
    prune: Needs = Needs()
    finetune: Needs = Needs()
    export: Needs = Needs()
    quantize: Needs = Needs()
