"""The search on a GPU if there is one, else on the processor. The answer is the same."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gait.evaluation import ranking
from gait.evaluation.blocks import Search
from gait.evaluation.distances import Distance

if TYPE_CHECKING:
    import torch

DRIVER = Path("/dev/nvidiactl")


def closer_wrong(values: np.ndarray, search: Search, kind: Distance = "euclidean", threads: int = 1) -> np.ndarray:
    """The counts of :func:`gait.evaluation.ranking.closer_wrong`, on a GPU or the processor.

    The processor computes cosines even where there is a GPU.
    """
    device = gpu() if kind == "euclidean" else None
    if device is None:
        return ranking.closer_wrong(values, search, kind, threads)
    from gait.evaluation import device_ranking

    return device_ranking.closer_wrong(values, search, device)


def gpu() -> torch.device | None:
    """The GPU, or None. Without a driver and without PyTorch in use, this does not load PyTorch to look for one."""
    if "torch" not in sys.modules and not DRIVER.exists():
        return None
    import torch

    return torch.device("cuda") if torch.cuda.is_available() else None
