"""Batches of silhouettes for PyTorch, each a function of the seed and its number, so that any can be made at any time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gait import sampling
from gait.data import silhouette_augmentation
from gait.data.inputs import cut
from gait.data.sequences import SequenceStore
from gait.training.processes import Processes


@dataclass(frozen=True)
class Sampling:
    """What is in a batch; the names are those of params.yaml.

    Attributes:
        identities, sequences: P and K.
        frames: of each sequence, or the least and most of a number drawn for each batch.
        order, skip: "unordered" frames, or "ordered" ones from a window of ``frames + skip``.
        augment: the changes of each sequence, as :mod:`gait.data.silhouette_augmentation` takes them.
        seed: of all random choices.
    """

    identities: int
    sequences: int
    frames: int | Sequence[int]
    order: str
    skip: int
    augment: Sequence[Mapping[str, Any]]
    seed: int


class SilhouetteBatches(Dataset[tuple[Tensor, Tensor]]):
    """P x K batches by the number of the iteration: uint8 [n, frames, height, width], and class numbers [n].

    Args:
        store: preprocessed silhouettes.
        train: positions of the training sequences.
        chosen: what is in a batch.
        processes: of each batch, this process's share.
    """

    def __init__(self, store: SequenceStore, train: Sequence[int], chosen: Sampling, processes: Processes) -> None:
        self._store = store
        self._sampling = chosen
        self._processes = processes
        self._augment = silhouette_augmentation.changes(chosen.augment)
        own: dict[str, list[int]] = {}
        for position in train:
            own.setdefault(store.sequences[position].identity, []).append(position)
        self._classes = {name: number for number, name in enumerate(sorted(own))}
        self._own = [own[name] for name in self._classes]

    def __getitem__(self, iteration: int) -> tuple[Tensor, Tensor]:
        chosen = self._sampling
        rng = np.random.default_rng((chosen.seed, iteration, 0))
        batch = sampling.identity_batch(self._own, chosen.identities, chosen.sequences, rng)
        least, most = (chosen.frames, chosen.frames) if isinstance(chosen.frames, int) else chosen.frames
        length = int(rng.integers(least, most + 1))
        own = self._processes.share(len(batch))
        sequences = [
            # Each place has random numbers of its own, whichever process fills it.
            self._drawn(batch[place], length, np.random.default_rng((chosen.seed, iteration, 1 + place)))
            for place in own
        ]
        classes = [self._classes[self._store.sequences[batch[place]].identity] for place in own]
        return torch.from_numpy(np.stack(sequences)), torch.tensor(classes)

    def _drawn(self, position: int, length: int, rng: np.random.Generator) -> np.ndarray:
        stored = self._store.frames(self._store.sequences[position])
        if self._sampling.order == "ordered":
            rows = sampling.ordered_frames(len(stored), length, self._sampling.skip, rng)
        else:
            rows = sampling.unordered_frames(len(stored), length, rng)
        frames = stored[rows]
        for change in self._augment:
            frames = change(frames, rng)
        return cut(frames)


def on_device(
    batches: SilhouetteBatches, iterations: range, workers: int, device: torch.device, kind: torch.dtype
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of some iterations in order, made ahead by ``workers`` processes (0: in this one), on a device.

    Frames travel as bytes and become ``kind`` in 0..1 on the device.
    """
    loader = DataLoader(batches, batch_size=None, sampler=iterations, num_workers=workers, pin_memory=device.type == "cuda")
    for frames, classes in loader:
        yield frames.to(device, non_blocking=True).to(kind) / 255, classes.to(device, non_blocking=True)
