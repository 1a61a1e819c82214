"""How a learning rate changes, in the sections `model` and `finetune`: gait/training/decays.py has the curves."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from gait.training.decays import DECAYS
from gaitpress.defaults import training as default
from gaitpress.params.values import Positive, Section


class TorchDecay(Section):
    """``step``: the rate is multiplied by gamma at each milestone; no other decay has milestones."""

    decay: Literal["step", *DECAYS] = default.TORCH_DECAY  # type: ignore[valid-type]
    milestones: list[Positive] | None = None

    @model_validator(mode="after")
    def _milestones_are_those_of_steps(self) -> Self:
        if (self.milestones is None) == (self.decay == "step"):
            text = (
                "needs milestones, or another decay than step" if self.decay == "step" else "only decay: step has milestones"
            )
            raise PydanticCustomError("milestones", "{text}", {"text": text})
        return self


class KerasDecay(Section):
    """``plateau``: the rate is multiplied by a factor when the validation loss no longer falls, as published."""

    decay: Literal["plateau", *DECAYS] = default.KERAS_DECAY  # type: ignore[valid-type]
