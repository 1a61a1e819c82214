"""params.yaml: its meaning, its limits and how to read it.

The classes below are the one declaration of what may stand in params.yaml; the JSON schema for editors
(workflow/schemas/params.schema.json) is written from them by ``python -m gaitpress params --schema``.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Len
from pydantic import BaseModel, ConfigDict, Discriminator, StringConstraints, Tag, ValidationError, model_validator
from pydantic_core import PydanticCustomError, core_schema
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


class ParamsError(Exception):
    """params.yaml is wrong; each line of the message names a key, its value and what is allowed."""


@dataclass(frozen=True)
class Range:
    """Bounds of a number, told as a whole when one is broken."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None

    def __str__(self) -> str:
        bounds = [(self.ge, "at least"), (self.gt, "more than"), (self.le, "at most"), (self.lt, "less than")]
        return "must be " + " and ".join(f"{words} {bound:g}" for bound, words in bounds if bound is not None)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        keys = {"minimum": self.ge, "exclusiveMinimum": self.gt, "maximum": self.le, "exclusiveMaximum": self.lt}
        return {**handler(schema), **{key: bound for key, bound in keys.items() if bound is not None}}

    def _check(self, value: float) -> float:
        within = (
            (self.ge is None or value >= self.ge)
            and (self.gt is None or value > self.gt)
            and (self.le is None or value <= self.le)
            and (self.lt is None or value < self.lt)
        )
        if not within:
            raise PydanticCustomError("range", "{text}", {"text": str(self)})
        return value


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
ModelName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
View = Annotated[str, StringConstraints(pattern=r"^(000|018|036|054|072|090|108|126|144|162|180)$")]
Positive = Annotated[int, Range(ge=1)]
Natural = Annotated[int, Range(ge=0)]
Rate = Annotated[float, Range(gt=0)]
Share = Annotated[float, Range(ge=0, le=1)]
Percentile = Annotated[int | float, Range(ge=0, lt=100)]
Seed = Annotated[int, Range(ge=0, lt=2**32)]


class Section(BaseModel):
    """A section of params.yaml: no unknown keys, no silent conversions, no changes after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _only_known_keys(cls, data: Any) -> Any:
        for key in data if isinstance(data, dict) else ():
            if key not in cls.model_fields:
                close = difflib.get_close_matches(str(key), cls.model_fields, 1)
                hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(cls.model_fields)}"
                raise PydanticCustomError("unknown_key", "{text}", {"text": f"unknown key; {hint}", "key": str(key)})
        return data


class OpenSection(Section):
    """A section whose further keys are settings of what its name stands for, which checks them itself."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _only_known_keys(cls, data: Any) -> Any:
        return data


class Prune(Section):
    """Which filters go. In mode "published" criterion, scope, round_to and keep_min are not used: docs/pruning.md."""

    percentiles: list[Percentile]
    mode: Literal["percentile", "published"]
    criterion: Literal["l1", "l2", "mean-l1", "fpgm", "random"]
    scope: Literal["layer", "global"]
    round_to: Positive
    keep_min: Positive
    spare: list[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.*?\[\]!-]+$", max_length=64)]]


class FirstTrain(Section):
    """CASIA-B's protocol: the first identities train; of the others nm-01 to nm-04 enrol, identical views are excluded.

    ``without``: training identities to leave out, such as 005 of CASIA-B, whose archive is damaged in some copies."""

    protocol: Literal["casia-b"]
    train_subjects: Positive
    without: list[Name] = []


class AsPublished(Section):
    protocol: Literal["oumvlp", "tum-gaid"]


class OwnRules(Section):
    """The first identities train; of the others the conditions under ``gallery`` enrol, all other walks are probes."""

    protocol: Literal["own"]
    train_subjects: Positive
    gallery: list[Name]
    cross_view: bool


Rules = Annotated[FirstTrain | AsPublished | OwnRules, Discriminator("protocol")]


class Walkers(Section):
    layout: Literal["walkers"]
    subjects: Annotated[int, Range(ge=2, le=999)]
    views: list[View]
    nm: Annotated[int, Range(ge=5, le=99)]  # four enrol, so that at least one remains as a probe
    bg: Annotated[int, Range(ge=0, le=99)]
    cl: Annotated[int, Range(ge=0, le=99)]
    frames: Annotated[int, Range(ge=2, le=1000)]
    difficulty: Share
    seed: Seed
    partition: Rules


class Published(Section):
    """A dataset as it is distributed, which knows its own frame rate."""

    layout: Literal["casia-b", "oumvlp", "tum-gaid"]
    path: str
    partition: Rules


class Own(Section):
    """What another framework preprocessed (pickles), or frames and videos of one's own (folder)."""

    layout: Literal["pickles", "folder"]
    path: str
    fps: Rate
    partition: Rules


Dataset = Annotated[Walkers | Published | Own, Discriminator("layout")]


class Silhouettes(Section):
    kind: Literal["silhouette"]
    size: Annotated[int, Range(ge=16, le=512)]


class Flow(Section):
    kind: Literal["flow"]
    method: Literal["dis", "farneback"]
    frames: Annotated[int, Range(ge=1, le=250)]
    stride: Positive


Preprocessing = Annotated[Silhouettes | Flow, Discriminator("kind")]


class LossTerm(OpenSection):
    """One summand of the training loss: gait/losses/<name>.py; further keys are that loss's own settings."""

    name: ModelName
    weight: Rate = 1.0


class Init(Section):
    """Weights to start from. ``bnneck`` tells how an OpenGait file orders the batch norm over all parts (BNNeck, and GLN's
    compact block): by channel, as since version 2.0, or by part, as up to 1.1."""

    path: str
    bnneck: Literal["by-channel", "by-part"] = "by-channel"


class Change(OpenSection):
    """A random change of training sequences: gait/data/silhouette_augmentation.py; further keys are its own settings."""

    name: Literal["flip", "rotate", "affine", "erase"]
    probability: Share


class Sampling(Section):
    """P x K batches. ``ordered`` frames come from a window that is ``skip`` frames longer than needed.

    ``frames`` may be the least and the most: then each batch has a number of its own."""

    identities: Annotated[int, Range(ge=2)]
    sequences: Annotated[int, Range(ge=2)]
    frames: Positive | Annotated[list[Positive], Len(2, 2)]
    order: Literal["unordered", "ordered"]
    skip: Natural = 0


class KerasOptimizer(Section):
    name: Literal["adam", "sgd"]
    lr: Rate
    momentum: Annotated[float, Range(ge=0, lt=1)] = 0.9


class TorchOptimizer(Section):
    name: Literal["adam", "adamw", "sgd"]
    lr: Rate
    momentum: Annotated[float, Range(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Range(ge=0)] = 0.0
    clip_norm: Rate | None = None


class TorchSchedule(Section):
    iterations: Natural
    milestones: list[Positive]
    gamma: Annotated[float, Range(gt=0, le=1)]


class TorchPhase(Section):
    """A further phase of training; what is given here replaces the entry's own, with a fresh optimizer."""

    architecture: dict[str, Any] | None = None
    loss: list[LossTerm] | None = None
    optimizer: TorchOptimizer | None = None
    schedule: TorchSchedule | None = None
    freeze_batch_norm: bool | None = None


class TorchModel(Section):
    """``distance``: what the model is tested by: euclidean, of signatures as they are, or cosine, scaled to length 1."""

    framework: Literal["torch"]
    modality: Name
    distance: Literal["euclidean", "cosine"]
    architecture: dict[str, Any]
    width: Annotated[float, Range(gt=0, le=8)]
    frames: Positive
    loss: list[LossTerm]
    sampling: Sampling
    augment: list[Change] = []
    optimizer: TorchOptimizer
    schedule: TorchSchedule
    freeze_batch_norm: bool = False
    then: TorchPhase | None = None
    init: str | Init | None = None
    mixed_precision: bool
    seed: Seed

    def phases(self) -> list[TorchModel]:
        """The entry as it is in each phase of training."""
        first = self.model_copy(update={"then": None})
        if self.then is None:
            return [first]
        changed = {key: getattr(self.then, key) for key in TorchPhase.model_fields if getattr(self.then, key) is not None}
        return [first, first.model_copy(update=changed)]


class KerasSchedule(Section):
    epochs: Natural
    plateau_factor: Annotated[float, Range(gt=0, lt=1)]
    plateau_patience: Positive
    min_lr: Rate
    stop_patience: Positive
    extra_epochs: Natural
    extra_lr: Rate


class KerasModel(Section):
    """``distance``: as of a PyTorch model."""

    framework: Literal["keras"]
    modality: Name
    distance: Literal["euclidean", "cosine"]
    architecture: dict[str, Any]
    width: Annotated[float, Range(gt=0, le=8)]
    loss: list[LossTerm]
    batch: Positive
    optimizer: KerasOptimizer
    schedule: KerasSchedule
    init: str | Init | None = None
    augment: bool
    mixed_precision: bool
    seed: Seed

    def phases(self) -> list[KerasModel]:
        """The one phase of training."""
        return [self]


Model = Annotated[TorchModel | KerasModel, Discriminator("framework")]


class TorchFinetune(Section):
    iterations: Natural
    milestones: list[Positive]
    lr: Rate
    freeze_batch_norm: bool = False


class KerasFinetune(Section):
    epochs: Natural
    lr: Rate


def _finetune_kind(value: Any) -> str:
    return "keras" if (isinstance(value, dict) and "epochs" in value) or isinstance(value, KerasFinetune) else "torch"


Finetune = Annotated[
    Annotated[TorchFinetune, Tag("torch")] | Annotated[KerasFinetune, Tag("keras")], Discriminator(_finetune_kind)
]


class Train(Section):
    """What holds for all trainings, fine-tuning included; of these, only ``processes`` can change a result."""

    processes: Positive
    workers: Natural
    checkpoint_s: Annotated[float, Range(ge=0)]


class Export(Section):
    """``max_batch``: so many sequences at once at most; 1 fixes the batch axis.

    ``dynamic_frames``: whether networks take any number of frames; "auto": those for processors do, TensorRT's do not."""

    opset: Annotated[int, Range(ge=11, le=20)]
    dynamic_frames: Literal["auto"] | bool
    max_batch: Positive


class Quantize(Section):
    """ "auto" gives each kind of device the int8 that it takes best; a value holds for all of them."""

    calibration_sequences: Positive
    method: Literal["minmax", "entropy", "percentile"]
    activations: Literal["auto", "uint8", "int8"] = "auto"
    weight_bits: Literal["auto", 7, 8] = "auto"
    per_channel: bool
    max_error: Annotated[float, Range(gt=0, le=1)] | None = None


class Benchmark(Section):
    """``batch``: of what is measured in full; ``sweep``: batches that are timed as well, in less detail."""

    session: Natural
    batch: Positive
    sweep: list[Positive]
    threads: Positive
    warmup_s: Annotated[float, Range(ge=0)]
    duration_s: Rate
    min_queries: Positive
    repeats: Positive
    max_cov: Rate


def _limit(units: str) -> Any:
    """A number with its unit, such as 5ms."""
    return StringConstraints(pattern=rf"^[0-9]*\.?[0-9]+ ?({units})$", max_length=32)


class Report(Section):
    """How variants are judged.

    Attributes:
        max_loss: points of mean rank-1 that an engine in fp16 or int8 may be below the same network's in fp32.
    """

    max_loss: Annotated[float, Range(ge=0, le=100)]


class Select(Section):
    """What the commands select and bundle choose by; options on their command lines go before these."""

    device: Name | None = None
    max_latency: Annotated[str, _limit("s|ms|us")] | None = None
    min_rank1: Annotated[float, Range(gt=0, le=100)] | None = None
    max_energy: Annotated[str, _limit("J|mJ|uJ")] | None = None
    max_size: Annotated[str, _limit("GB|MB|kB|B|GiB|MiB|KiB")] | None = None
    people: Positive | None = None
    fps: Rate | None = None


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

    mem: Annotated[str, _limit("GB|MB|GiB|MiB")] | None = None
    runtime: Annotated[str, _limit("d|h|m")] | None = None
    gpu: Natural | None = None


class Resources(Section):
    """By stage, of those that a cluster runs; no result depends on it."""

    dataset: Needs = Needs()
    preprocess: Needs = Needs()
    partition: Needs = Needs()
    train: Needs = Needs()
    prune: Needs = Needs()
    finetune: Needs = Needs()
    export: Needs = Needs()
    quantize: Needs = Needs()


class MLflow(Section):
    tracking_uri: str
    experiment: str

    @property
    def training_experiment(self) -> str:
        """Where the curves of trainings are."""
        return f"{self.experiment}-training"


class Params(Section):
    """The whole of params.yaml."""

    dataset: Name
    modalities: list[Name]
    models: list[ModelName]
    devices: list[Name]
    precisions: list[Literal["fp32", "fp16", "int8", "best"]]
    prune: Prune
    datasets: dict[Name, Dataset]
    preprocess: dict[Name, Preprocessing]
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
    mlflow: MLflow

    def entry(self, model: str) -> Any:
        """A model's entry.

        Raises:
            ParamsError: there is none.
        """
        if model not in self.model:
            raise ParamsError(f"unknown model {model}; params.yaml has these under model: {', '.join(self.model)}")
        return self.model[model]


def load(path: Path | str = "params.yaml") -> Params:
    """Read and check a params file.

    Raises:
        ParamsError: with one line a fault, such as
            ``params.yaml: prune.percentiles[2] = 140: must be at least 0 and less than 100``.
    """
    path = Path(path)
    try:
        data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run from the repository's root or pass --params") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ParamsError(f"{path}: must be a mapping of sections")
    try:
        params = Params.model_validate(data)
    except ValidationError as error:
        # Where a value may be of two types, the last one's complaint is enough.
        told = dict(_told(item, data) for item in error.errors())
        raise ParamsError("\n".join(f"{path}: {key}{words}" for key, words in told.items())) from None
    if faults := list(_faults(params)):
        raise ParamsError("\n".join(f"{path}: {fault}" for fault in faults))
    return params


def _faults(params: Params) -> Any:
    """What is wrong between sections; each fault as ``key = value: what is allowed``."""
    lists: dict[str, Sequence[Any]] = {
        "modalities": params.modalities,
        "models": params.models,
        "devices": params.devices,
        "precisions": params.precisions,
        "prune.percentiles": params.prune.percentiles,
    }
    yield from (f"{key} = []: must not be empty" for key, values in lists.items() if not values)
    for key, values in {**lists, "benchmark.sweep": params.benchmark.sweep}.items():
        for index, value in enumerate(values):
            if value in values[:index]:
                yield f"{key}[{index}] = {value}: is listed twice"
    batches = {f"benchmark.sweep[{index}]": batch for index, batch in enumerate(params.benchmark.sweep)}
    for key, batch in {"benchmark.batch": params.benchmark.batch, **batches}.items():
        if batch > params.export.max_batch:
            yield f"{key} = {batch}: must be at most {params.export.max_batch}, which export.max_batch is"
    if params.dataset not in params.datasets:
        yield f"dataset = {params.dataset}: {_one_of(params.dataset, params.datasets, 'datasets')}"
    for index, modality in enumerate(params.modalities):
        if modality not in params.preprocess:
            yield f"modalities[{index}] = {modality}: {_one_of(modality, params.preprocess, 'preprocess')}"
    for name, dataset in params.datasets.items():
        training = getattr(dataset.partition, "train_subjects", 0)
        if isinstance(dataset, Walkers) and training >= dataset.subjects:
            yield f"datasets.{name}.partition.train_subjects = {training}: must be less than subjects"
    for name, entry in params.model.items():
        start = entry.init.path if isinstance(entry.init, Init) else entry.init
        own = Path("results/train") / name
        if start is not None and own in (Path(start), *Path(start).parents):
            yield f"model.{name}.init = {start}: training writes there anew; copy it to another place first"
        frames = entry.sampling.frames if isinstance(entry, TorchModel) else 1
        if isinstance(frames, list) and frames[0] > frames[1]:
            yield f"model.{name}.sampling.frames = {frames}: must be the least number first, then the most"
    for index, name in enumerate(params.models):
        if name not in params.model:
            yield f"models[{index}] = {name}: {_one_of(name, params.model, 'model')}"
            continue
        model = params.model[name]
        kind = TorchFinetune if isinstance(model, TorchModel) else KerasFinetune
        if model.modality not in params.modalities:
            yield f"models[{index}] = {name}: needs modality {model.modality}; add it to modalities"
        if name not in params.finetune:
            yield f"finetune.{name}: is missing; models[{index}] needs it"
        elif not isinstance(params.finetune[name], kind):
            yield f"finetune.{name}: a {model.framework} model takes {', '.join(kind.model_fields)}"


def _one_of(value: str, known: Sequence[str] | dict[str, Any], section: str) -> str:
    close = difflib.get_close_matches(value, known, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"no such entry under {section} (there: {', '.join(known)}){hint}"


_WORDS = {
    "missing": "is missing",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text; put it in quotes",
    "list_type": "must be a list, such as [a, b]",
    "dict_type": "must be a section with keys",
    "model_type": "must be a section with keys",
    "model_attributes_type": "must be a section with keys",
}


def _told(error: Any, data: Any) -> tuple[str, str]:
    """One of pydantic's errors as ``key.path[2]`` and `` = value: what is allowed``."""
    keys, value = "", data
    location = [*error["loc"], *([error["ctx"]["key"]] if error["type"] == "unknown_key" else [])]
    for key in location:
        if isinstance(value, dict) and key in value:
            value, keys = value[key], f"{keys}.{key}" if keys else str(key)
        elif isinstance(value, list) and isinstance(key, int):
            value, keys = value[key], f"{keys}[{key}]"
        elif error["type"] == "missing" and key == location[-1]:
            keys = f"{keys}.{key}" if keys else str(key)
        # Anything else is pydantic's own note of which alternative of a union it tried.
    words = _WORDS.get(error["type"]) or re.sub("^(Input|String) should", "must", error["msg"])
    if error["type"] in ("union_tag_invalid", "union_tag_not_found"):
        tag = error["ctx"]["discriminator"].strip("'")
        keys, value = f"{keys}.{tag}", value.get(tag, "nothing") if isinstance(value, dict) else value
        words = f"must be one of {error['ctx'].get('expected_tags', 'the known ones')}"
    shown = f" = {value}" if error["type"] != "missing" and not isinstance(value, dict) else ""
    return keys, f"{shown}: {words}"


def schema() -> str:
    """The JSON schema of params.yaml, as text, for editors."""
    return json.dumps(Params.model_json_schema(), indent=1, sort_keys=True) + "\n"
