"""What benchmarks share: rates of this computer or GPU, and data made for measuring."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gait.data.prepared.sequences import SequenceStore, StoreWriter

SIDE = 2048  # of the matrices whose product is timed
GPU_SIDE = 8192


def shortest(*runs: Callable[[], Any], repeats: int = 5) -> list[float]:
    """The shortest time of each run, in s. The runs take turns, and a first turn only warms up."""
    best = [float("inf")] * len(runs)
    for turn in range(repeats + 1):
        for place, run in enumerate(runs):
            start = time.perf_counter()
            run()
            if turn:
                best[place] = min(best[place], time.perf_counter() - start)
    return best


def synchronised(device: torch.device) -> None:
    """Wait until the device has done all that it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def products_per_s(device: torch.device, kind: torch.dtype = torch.float32, side: int | None = None) -> float:
    """Multiply-adds a second of a matrix product on a device."""
    side = side or (GPU_SIDE if device.type == "cuda" else SIDE)
    matrix = torch.rand(side, side, device=device).to(kind)

    def product() -> None:
        matrix @ matrix
        synchronised(device)

    (seconds,) = shortest(product)
    return side**3 / seconds


def bytes_per_s(device: torch.device, size: int = 1 << 28) -> float:
    """Bytes a second that a device reads and writes where it copies within its memory."""
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)

    def copy() -> None:
        target.copy_(source)
        synchronised(device)

    (seconds,) = shortest(copy)
    return 2 * size / seconds


class Times:
    """A watcher of the training loop: it notes when an iteration ended, and its loss."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.losses: list[float] = []

    def step(self, done: int, total: int) -> None: ...

    def row(self, number: int, values: Mapping[str, float]) -> None:
        self.at.append(time.perf_counter())
        self.losses.append(values["loss"])


def made_store(directory: Path, people: int, walks: int, length: int, size: int = 64) -> SequenceStore:
    """A store of random squares, which make as much work as people's silhouettes."""
    rng = np.random.default_rng(0)
    writer = StoreWriter(directory, (size, size), "uint8")
    for person in range(people):
        for walk in range(walks):
            squares = 255 * (rng.random((length, 8, 8)) < 0.4).astype(np.uint8)
            writer.add(f"{person:03d}", f"nm-{walk:02d}", "090", squares.repeat(size // 8, 1).repeat(size // 8, 2))
    facts: dict[str, Any] = {"identities": [], "split": {}, "settings": {"kind": "silhouette", "pixels": size}}
    writer.close(modality="silhouette", dataset="made", evidence="synthetic", fps=25, **facts)
    return SequenceStore.open(directory)
