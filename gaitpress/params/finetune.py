"""The section `finetune`: training after pruning."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Discriminator, Tag

from gaitpress.params.values import Natural, Positive, Rate, Section


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
