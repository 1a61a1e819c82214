"""The section `finetune`: training after pruning."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from gaitpress.defaults import training as default
from gaitpress.params.decay import KerasDecay, TorchDecay
from gaitpress.params.values import Natural, Rate


class TorchFinetune(TorchDecay):
    iterations: Natural
    lr: Rate
    freeze_batch_norm: bool = default.FREEZE_BATCH_NORM


class KerasFinetune(KerasDecay):
    epochs: Natural
    lr: Rate


def _finetune_kind(value: Any) -> str:
    return "keras" if (isinstance(value, dict) and "epochs" in value) or isinstance(value, KerasFinetune) else "torch"


Finetune = Annotated[
    Annotated[TorchFinetune, Tag("torch")] | Annotated[KerasFinetune, Tag("keras")], Discriminator(_finetune_kind)
]
