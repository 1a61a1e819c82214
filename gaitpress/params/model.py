"""The section `model`: networks and how they train."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Len, MinLen
from pydantic import Discriminator, Field

from gaitpress.defaults import training as default
from gaitpress.params.decay import KerasDecay, TorchDecay
from gaitpress.params.values import (
    FileIn,
    Name,
    Natural,
    OpenSection,
    Positive,
    Range,
    Rate,
    Section,
    Seed,
    Share,
    Text,
)


class LossTerm(OpenSection):
    """One summand of the training loss: gait/losses/<name>.py; further keys are that loss's own settings."""

    name: Annotated[str, FileIn("gait/losses")]
    weight: Rate = default.LOSS_WEIGHT


Terms = Annotated[list[LossTerm], MinLen(1)]


class Init(Section):
    """Weights to start from. ``bnneck`` tells how an OpenGait file orders the batch norm over all parts (BNNeck, and GLN's
    compact block): by channel, as since version 2.0, or by part, as up to 1.1."""

    path: Text
    bnneck: Literal["by-channel", "by-part"] = default.BNNECK


class Change(OpenSection):
    """A random change of training sequences: gait/training/torch/augmentations/<name>.py; further keys are its settings."""

    name: Annotated[str, FileIn("gait/training/torch/augmentations")]
    probability: Share


class Sampling(Section):
    """P x K batches. ``ordered`` frames come from a window that is ``skip`` frames longer than needed.

    ``frames`` may be the least and the most: then each batch has a number of its own."""

    identities: Annotated[int, Range(ge=2)]
    sequences: Annotated[int, Range(ge=2)]
    frames: Positive | Annotated[list[Positive], Len(2, 2)]
    order: Literal["unordered", "ordered"]
    skip: Natural = default.SKIP


class KerasOptimizer(Section):
    name: Literal["adam", "sgd"]
    lr: Rate
    momentum: Annotated[float, Range(ge=0, lt=1)] = default.MOMENTUM


class TorchOptimizer(Section):
    name: Literal["adam", "adamw", "sgd"]
    lr: Rate
    momentum: Annotated[float, Range(ge=0, lt=1)] = default.MOMENTUM
    weight_decay: Annotated[float, Range(ge=0)] = default.WEIGHT_DECAY
    clip_norm: Rate | None = None


class TorchSchedule(TorchDecay):
    iterations: Natural
    gamma: Annotated[float, Range(gt=0, le=1)] = default.GAMMA


class Validation(Section):
    """Training identities that are set aside, on whom the training is tested while it runs.

    ``every``: iterations (of a Keras model, epochs) between tests. ``keep``: the weights that are the result. ``patience``:
    training ends after that many tests without a higher rank-1; null: never."""

    identities: Annotated[int, Range(ge=2)]
    every: Positive
    keep: Literal["last", "best"] = default.KEPT_WEIGHTS
    patience: Positive | None = None


class TorchPhase(Section):
    """A further phase of training; what is given here replaces the entry's own, with a fresh optimizer."""

    architecture: dict[str, Any] | None = None
    loss: Terms | None = None
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
    loss: Terms
    sampling: Sampling
    augment: list[Change] = Field(default=[])
    optimizer: TorchOptimizer
    schedule: TorchSchedule
    freeze_batch_norm: bool = default.FREEZE_BATCH_NORM
    then: TorchPhase | None = None
    validation: Validation | None = None
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


class KerasSchedule(KerasDecay):
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
    loss: Terms
    batch: Positive
    optimizer: KerasOptimizer
    schedule: KerasSchedule
    validation: Validation | None = None
    init: str | Init | None = None
    augment: bool
    mixed_precision: bool
    seed: Seed

    def phases(self) -> list[KerasModel]:
        """The one phase of training."""
        return [self]


Model = Annotated[TorchModel | KerasModel, Discriminator("framework")]
