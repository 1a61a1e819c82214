"""The whole of params.yaml, and the rules between its sections."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from gait import protocols
from gait.data import readers
from gaitpress.params.benchmark import Benchmark
from gaitpress.params.datasets import Dataset, Walkers
from gaitpress.params.export import Export
from gaitpress.params.finetune import Finetune, KerasFinetune, TorchFinetune
from gaitpress.params.jobs import Resources, Threads
from gaitpress.params.mlflow import MLflow
from gaitpress.params.model import Init, Model, TorchModel
from gaitpress.params.preprocess import Preprocessing
from gaitpress.params.promote import Promote
from gaitpress.params.prune import Prune
from gaitpress.params.quantize import Quantize
from gaitpress.params.report import Report
from gaitpress.params.select import Select
from gaitpress.params.train import Train
from gaitpress.params.values import EntryName, ModelName, Name, ParamsError, Section


class Params(Section):
    """The whole of params.yaml."""

    dataset: Name
    modalities: list[Name]
    models: list[ModelName]
    devices: list[EntryName]
    precisions: list[Literal["fp32", "fp16", "bf16", "int8", "best"]]
    prune: Prune
    datasets: dict[EntryName, Dataset]
    preprocess: dict[EntryName, Preprocessing]
    model: dict[ModelName, Model]
    train: Train
    finetune: dict[ModelName, Finetune]
    export: Export
    quantize: Quantize
    benchmark: Benchmark
    threads: Threads
    resources: Resources = Resources()
    report: Report
    select: Select = Select()
    promote: Promote = Promote()
    mlflow: MLflow

    def entry(self, model: str) -> Any:
        """A model's entry.

        Raises:
            ParamsError: the model has no entry.
        """
        if model not in self.model:
            raise ParamsError(f"unknown model {model}; params.yaml has these under model: {', '.join(self.model)}")
        return self.model[model]


def faults(params: Params) -> Any:
    """The faults between sections, each as ``key = value: the values allowed``."""
    lists: dict[str, Sequence[Any]] = {
        "modalities": params.modalities,
        "models": params.models,
        "devices": params.devices,
        "precisions": params.precisions,
        "prune.percentiles": params.prune.percentiles,
    }
    yield from (f"{key} = []: must not be empty" for key, values in lists.items() if not values)
    walkers = {name: dataset for name, dataset in params.datasets.items() if isinstance(dataset, Walkers)}
    lists |= {f"datasets.{name}.views": dataset.views for name, dataset in walkers.items()}
    for key, values in {**lists, "benchmark.sweep": params.benchmark.sweep}.items():
        for index, value in enumerate(values):
            if value in values[:index]:
                yield f"{key}[{index}] = {value}: is listed twice"
    batches = {f"benchmark.sweep[{index}]": batch for index, batch in enumerate(params.benchmark.sweep)}
    for key, batch in {"benchmark.batch": params.benchmark.batch, **batches}.items():
        if batch > params.export.max_batch:
            yield f"{key} = {batch}: must be at most {params.export.max_batch}, the value of export.max_batch"
    if "none" in params.devices:
        yield f"devices[{params.devices.index('none')}] = none: is no device's name; prune.device uses it for no device"
    if params.prune.device == "none" and params.prune.mode == "latency":
        yield f"prune.device = none: mode latency prunes to a time on a device; one of devices ({', '.join(params.devices)})"
    elif params.prune.device not in ("none", *params.devices):
        yield f"prune.device = {params.prune.device}: {_one_of(params.prune.device, params.devices, 'devices')}"
    if params.dataset not in params.datasets:
        yield f"dataset = {params.dataset}: {_one_of(params.dataset, params.datasets, 'datasets')}"
    for index, modality in enumerate(params.modalities):
        if modality not in params.preprocess:
            yield f"modalities[{index}] = {modality}: {_one_of(modality, params.preprocess, 'preprocess')}"
    for name, dataset in params.datasets.items():
        training = getattr(dataset.partition, "train_subjects", 0)
        if training == 1:
            yield f"datasets.{name}.partition.train_subjects = 1: must be at least 2: a model learns whom to tell apart"
        if isinstance(dataset, Walkers) and training >= dataset.subjects:
            yield f"datasets.{name}.partition.train_subjects = {training}: must be less than subjects"
        pickle = None if isinstance(dataset, Walkers) else dataset.pickle
        if pickle is not None and dataset.layout not in readers.PICKLED:
            yield f"datasets.{name}.pickle = {pickle}: is for the layouts {', '.join(readers.PICKLED)}, which may be pickles"
    for name, entry in params.model.items():
        start = entry.init.path if isinstance(entry.init, Init) else entry.init
        own = Path("results/train") / name
        if start is not None and own in (Path(start), *Path(start).parents):
            yield f"model.{name}.init = {start}: training overwrites it; copy it to another place first"
        frames = entry.sampling.frames if isinstance(entry, TorchModel) else 1
        if isinstance(frames, list) and frames[0] > frames[1]:
            yield f"model.{name}.sampling.frames = {frames}: must list the smaller number first"
    for index, name in enumerate(params.models):
        if name not in params.model:
            yield f"models[{index}] = {name}: {_one_of(name, params.model, 'model')}"
            continue
        model = params.model[name]
        if params.dataset in params.datasets:
            yield from _of_validation(name, model, params.datasets[params.dataset])
        kind = TorchFinetune if isinstance(model, TorchModel) else KerasFinetune
        if model.modality not in params.modalities:
            yield f"models[{index}] = {name}: needs modality {model.modality}; add it to modalities"
        if name not in params.finetune:
            yield f"finetune.{name}: is missing; models[{index}] needs it"
        elif not isinstance(params.finetune[name], kind):
            yield f"finetune.{name}: a {model.framework} model takes {', '.join(kind.model_fields)}"


def _of_validation(name: str, model: Model, dataset: Dataset) -> Iterator[str]:
    """Too many people set aside, of as many as train by the protocol of the dataset."""
    protocol, settings = protocols.chosen(dataset.partition.model_dump())
    training = protocol.training_identities(settings)
    if model.validation is not None and model.validation.identities > training - 2:
        asked = f"model.{name}.validation.identities = {model.validation.identities}"
        yield f"{asked}: must be at most {max(training - 2, 0)}, so that 2 of the {training} training identities train"


def _one_of(value: str, entries: Sequence[str] | dict[str, Any], section: str) -> str:
    close = difflib.get_close_matches(value, entries, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"no such entry under {section} (there: {', '.join(entries)}){hint}"
