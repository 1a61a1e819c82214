"""The published configurations of the silhouette models, and how many parameters each has."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from gait.networks import torch_model
from gait.networks.torch_model import TorchModel

BINS = [16, 8, 4, 2, 1]
CASIA_B, OUMVLP, GAIT3D, GREW, HID, CCPG, SUSTECH1K = 74, 5153, 3000, 20000, 500, 100, 250  # training identities


class Published(NamedTuple):
    """A model's ``architecture`` for a dataset, the identities that train, parameters, and the shape of a signature."""

    model: str
    architecture: dict[str, Any]
    identities: int
    parameters: int
    signature: tuple[int, int]

    @property
    def ordered(self) -> bool:
        """Whether the order of the frames matters."""
        return self.model in ("gaitpart", "gaitgl") or self.architecture.get("mode") in ("p3d", "3d")


GLN = {"channels": [32, 64, 128], "lateral": 256, "embedding": 256, "bins": BINS, "dropout": 0.9}
DEEP = {"channels": [64, 128, 256, 512], "blocks": [1, 1, 1, 1], "embedding": 256, "bins": [16]}
DEEPER = {**DEEP, "blocks": [1, 4, 4, 1]}
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
    "deepgaitv2 p3d": Published("deepgaitv2", {**DEEP, "mode": "p3d"}, CASIA_B, 8_339_392, (16, 256)),
    "deepgaitv2 3d": Published("deepgaitv2", {**DEEP, "mode": "3d"}, CASIA_B, 16_595_136, (16, 256)),
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
    "gaitgl bnneck": Published(
        "gaitgl",
        {
            "stem": [32, 32], "layers": [64, 64, 128, 128, 256, 256], "pool_after": 2, "halving": 1, "embedding": 256,
            "head": "bnneck",
        },
        GREW, 338_905_953, (64, 256),
    ),
    "baseline, three poolings": Published(
        "baseline",
        {"channels": [64, 128, 256, 512], "embedding": 256, "bins": BINS, "poolings": 3},
        HID, 12_730_432, (31, 256),
    ),
    "gaitbase": Published(
        "gaitbase", {"channels": [64, 128, 256, 512], "embedding": 256, "bins": [16]}, OUMVLP, 28_108_992, (16, 256)
    ),
    "gaitbase of CCPG": Published(
        "gaitbase", {"channels": [64, 128, 256, 512], "embedding": 256, "bins": [16]}, CCPG, 7_411_904, (16, 256)
    ),
    "deepgaitv2 p3d of CCPG": Published("deepgaitv2", {**DEEP, "mode": "p3d"}, CCPG, 8_445_888, (16, 256)),
    "deepgaitv2 p3d of SUSTech1K": Published("deepgaitv2", {**DEEP, "mode": "p3d"}, SUSTECH1K, 9_060_288, (16, 256)),
    "deepgaitv2 2d": Published("deepgaitv2", {**DEEP, "mode": "2d"}, CASIA_B, 7_305_408, (16, 256)),
    "deepgaitv2 2d, wider": Published("deepgaitv2", {**DEEP, "mode": "2d"}, OUMVLP, 28_108_992, (16, 256)),
    "deepgaitv2 p3d": Published("deepgaitv2", {**DEEP, "mode": "p3d"}, OUMVLP, 29_142_976, (16, 256)),
    "deepgaitv2 3d": Published("deepgaitv2", {**DEEP, "mode": "3d"}, OUMVLP, 37_398_720, (16, 256)),
    "deepgaitv2 2d, deeper": Published("deepgaitv2", {**DEEPER, "mode": "2d"}, GAIT3D, 23_718_592, (16, 256)),
    "deepgaitv2 p3d, deeper": Published("deepgaitv2", {**DEEPER, "mode": "p3d"}, GAIT3D, 25_492_160, (16, 256)),
    "deepgaitv2 3d, deeper": Published("deepgaitv2", {**DEEPER, "mode": "3d"}, GAIT3D, 41_855_680, (16, 256)),
}  # fmt: skip


def small(published: Published, width: float = 0.125, classes: int = 3) -> TorchModel:
    """A narrow one in evaluation mode, whose batch norms have statistics as if it had been trained."""
    torch.manual_seed(0)
    model = torch_model.build(published.model, published.architecture, width, classes)
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return model.eval()
