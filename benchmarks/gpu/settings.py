"""The PyTorch models as the recipe casia-b has them, for a Python without a reader of YAML. A test compares both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from gait.networks import torch_model
from gait.training.torch.batches import Sampling
from gait.training.torch.loop import TorchTraining

CLASSES = 74  # training identities of CASIA-B
TRIPLET = {"name": "triplet", "weight": 1.0, "margin": 0.2}
BINS = [16, 8, 4, 2, 1]
SGD = {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4}


@dataclass(frozen=True)
class Published:
    """An entry of ``model``, as far as it says how an iteration is.

    Attributes:
        size: of the silhouettes, in px.
    """

    architecture: dict[str, Any]
    sampling: dict[str, Any]
    loss: list[dict[str, Any]]
    optimizer: dict[str, Any]
    augment: list[dict[str, Any]] = field(default_factory=list)
    size: int = 64

    def training(self, iterations: int, identities: int, sequences: int, **changed: Any) -> TorchTraining:
        """As the stage train makes it, with other batches and a learning rate that never falls."""
        drawn = {"skip": 0, **self.sampling, "identities": identities, "sequences": sequences}
        settings: dict[str, Any] = {
            **{name: value for name, value in self.optimizer.items() if name != "name"},
            "optimizer": self.optimizer["name"],
            "iterations": iterations,
            "decay": "constant",
            "milestones": None,
            "gamma": 1.0,
            "clip_norm": None,
            "loss": self.loss,
            "sampling": Sampling(**drawn, augment=self.augment, seed=1),
            "freeze_batch_norm": False,
            "mixed_precision": True,
            "seed": 1,
        }
        return TorchTraining(**{"momentum": 0.9, **settings, **changed})


def cross_entropy(weight: float, scale: float, smoothing: float | None = 0.1) -> dict[str, Any]:
    smoothed = {} if smoothing is None else {"label_smoothing": smoothing}
    return {"name": "cross_entropy", "weight": weight, "scale": scale, **smoothed}


MODELS = {
    "gaitset": Published(
        {"channels": [32, 64, 128], "embedding": 256, "bins": BINS},
        {"identities": 8, "sequences": 16, "frames": 30, "order": "unordered"},
        [TRIPLET],
        SGD,
    ),
    "gaitpart": Published(
        {"channels": [32, 64, 128], "halving": [0, 2, 3], "embedding": 128},
        {"identities": 8, "sequences": 16, "frames": 30, "order": "ordered", "skip": 10},
        [TRIPLET],
        {"name": "adam", "lr": 1e-4, "weight_decay": 0.0},
    ),
    "gaitgl": Published(
        {"stem": [32], "layers": [64, 128, 128], "pool_after": 1, "halving": 3, "embedding": 128},
        {"identities": 8, "sequences": 8, "frames": 30, "order": "ordered"},
        [TRIPLET, cross_entropy(1.0, 1, None)],
        {"name": "adam", "lr": 1e-4, "weight_decay": 5e-4},
    ),
    "gln": Published(
        {"channels": [32, 64, 128], "lateral": 256, "embedding": 256, "bins": BINS, "compact": 0, "dropout": 0.9},
        {"identities": 8, "sequences": 16, "frames": 30, "order": "ordered"},
        [TRIPLET],
        SGD,
        size=128,
    ),
    "baseline": Published(
        {"channels": [64, 128, 256], "embedding": 256, "bins": BINS},
        {"identities": 8, "sequences": 16, "frames": 30, "order": "unordered"},
        [TRIPLET, cross_entropy(0.1, 16)],
        SGD,
    ),
    "gaitbase": Published(
        {"channels": [64, 128, 256, 512], "embedding": 256, "bins": [16]},
        {"identities": 8, "sequences": 16, "frames": 30, "order": "unordered"},
        [TRIPLET, cross_entropy(1.0, 16)],
        SGD,
        [{"name": "rotate", "probability": 0.3, "degrees": 10}, {"name": "erase", "probability": 0.3}],
    ),
    "deepgaitv2": Published(
        {"mode": "p3d", "channels": [64, 128, 256, 512], "blocks": [1, 1, 1, 1], "embedding": 256, "bins": [16]},
        {"identities": 8, "sequences": 16, "frames": 30, "order": "ordered", "skip": 4},
        [TRIPLET, cross_entropy(1.0, 16)],
        SGD,
        [{"name": name, "probability": 0.2} for name in ("perspective", "flip", "rotate")],
    ),
}


def network(name: str, width: float = 1, classes: int = CLASSES) -> torch_model.TorchModel:
    """A model with fresh weights, the same each time."""
    torch.manual_seed(1)
    return torch_model.build(name, MODELS[name].architecture, width, classes)
