"""Of the sections `model` and `finetune`; an edit trains the models again."""

from typing import Final

LOSS_WEIGHT: Final = 1.0
SKIP: Final = 0  # frames
MOMENTUM: Final = 0.9
WEIGHT_DECAY: Final = 0.0
GAMMA: Final = 0.1
TORCH_DECAY: Final = "step"
KERAS_DECAY: Final = "plateau"
FREEZE_BATCH_NORM: Final = False
KEPT_WEIGHTS: Final = "last"
BNNECK: Final = "by-channel"
