"""The published configurations of the silhouette models, and how many parameters each has."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from gait.networks import torch_model
from gait.networks.torch_model import TorchModel

BINS = [16, 8, 4, 2, 1]
CASIA_B, OUMVLP = 74, 5153  # training identities


class Published(NamedTuple):
    """A model's ``architecture`` for a dataset, the identities that train, parameters, and the shape of a signature."""

    model: str
    architecture: dict[str, Any]
    identities: int
    parameters: int
    signature: tuple[int, int]


GLN = {"channels": [32, 64, 128], "lateral": 256, "embedding": 256, "bins": BINS, "dropout": 0.9}
SMALLER = {
    "gaitset": Published(
        "gaitset", {"channels": [32, 64, 128], "embedding": 256, "bins": BINS}, CASIA_B, 2_594_592, (62, 256)
    ),
    "gaitpart": Published(
        "gaitpart", {"channels": [32, 64, 128], "halving": [0, 2, 3], "embedding": 128}, CASIA_B, 1_204_000, (16, 128)
    ),
    "gaitgl": Published(
        "gaitgl",
        {"stem": [32], "layers": [64, 128, 128], "pool_after": 1, "halving": 3, "embedding": 128},
        CASIA_B, 3_096_673, (64, 128),
    ),
    "gln": Published("gln", {**GLN, "compact": 0}, CASIA_B, 8_541_984, (93, 256)),
    "gln phase 2": Published("gln", {**GLN, "compact": 256}, CASIA_B, 14_703_904, (93, 256)),
    "baseline": Published(
        "baseline", {"channels": [64, 128, 256], "embedding": 256, "bins": BINS}, CASIA_B, 3_779_136, (31, 256)
    ),
    "gaitbase": Published(
        "gaitbase", {"channels": [64, 128, 256, 512], "embedding": 256, "bins": [16]}, CASIA_B, 7_305_408, (16, 256)
    ),
}  # fmt: skip
LARGER = {
    "gaitset": Published(
        "gaitset", {"channels": [64, 128, 256], "embedding": 256, "bins": BINS}, OUMVLP, 6_313_536, (62, 256)
    ),
    "gaitpart": Published(
        "gaitpart",
        {"channels": [32, 64, 128, 256], "halving": [0, 0, 3, 3], "embedding": 256},
        OUMVLP, 4_841_248, (16, 256),
    ),
    "gaitgl": Published(
        "gaitgl",
        {"stem": [32, 32], "layers": [64, 64, 128, 128, 256, 256], "pool_after": 2, "halving": 1, "embedding": 256},
        OUMVLP, 95_620_449, (64, 256),
    ),
    "baseline": Published(
        "baseline", {"channels": [32, 64, 128, 256], "embedding": 256, "bins": BINS}, OUMVLP, 44_112_928, (31, 256)
    ),
    "gaitbase": Published(
        "gaitbase", {"channels": [64, 128, 256, 512], "embedding": 256, "bins": [16]}, OUMVLP, 28_108_992, (16, 256)
    ),
}  # fmt: skip
ORDERED = ("gaitpart", "gaitgl")  # the order of the frames matters


def small(published: Published, width: float = 0.125, classes: int = 3) -> TorchModel:
    """A narrow one in evaluation mode, whose batch norms have statistics as if it had been trained."""
    torch.manual_seed(0)
    model = torch_model.build(published.model, published.architecture, width, classes)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return model.eval()
