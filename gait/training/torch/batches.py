"""Batches of silhouettes for PyTorch, each a function of the seed and its number, so that any can be made at any time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gait.data.prepared.inputs import cut, cut_margin
from gait.data.prepared.sequences import SequenceStore
from gait.processes import Processes
from gait.training import sampling
from gait.training.torch import augmentations, device_augmentation
from gait.training.torch.augmentations import Step


@dataclass(frozen=True)
class Sampling:
    """The content of a batch; the names are those of params.yaml.

    Attributes:
        identities, sequences: P and K.
        frames: the number of frames of each sequence, or the least and the greatest number, from which each batch draws.
        order, skip: "unordered" frames, or "ordered" ones from a window of ``frames + skip``.
        augment: the changes of each sequence, as :mod:`gait.training.torch.augmentations` takes them.
        seed: the seed of all random choices.
    """

    identities: int
    sequences: int
    frames: int | Sequence[int]
    order: str
    skip: int
    augment: Sequence[Mapping[str, Any]]
    seed: int


class Batch(NamedTuple):
    """The data of an iteration.

    Attributes:
        frames: the frames of this process's share, uint8 [n, frames, height, width]: the middle columns, or all columns if
            ``steps`` are still to be carried out.
        identities: the class numbers of the whole batch.
        steps: for each change, its steps for the sequences of the share, if a GPU carries them out; else empty.
    """

    frames: Tensor
    identities: Tensor
    steps: list[list[Step | None]]


class SilhouetteBatches(Dataset[Batch]):
    """P x K batches by the number of the iteration.

    Args:
        store: preprocessed silhouettes.
        train: positions of the training sequences.
        chosen: the content of a batch.
        processes: those that share each batch.
    """

    def __init__(self, store: SequenceStore, train: Sequence[int], chosen: Sampling, processes: Processes) -> None:
        self._store = store
        self._sampling = chosen
        self._processes = processes
        self._augment = augmentations.changes(chosen.augment)
        # A GPU changes a batch in less time than a processor takes for one sequence.
        self._on_device = bool(self._augment) and processes.device.type == "cuda"
        own: dict[str, list[int]] = {}
        for position in train:
            own.setdefault(store.sequences[position].identity, []).append(position)
        self._classes = {name: number for number, name in enumerate(sorted(own))}
        self._own = [own[name] for name in self._classes]

    def __getitem__(self, iteration: int) -> Batch:
        chosen = self._sampling
        rng = np.random.default_rng((chosen.seed, iteration, 0))
        batch = sampling.identity_batch(self._own, chosen.identities, chosen.sequences, rng)
        least, most = (chosen.frames, chosen.frames) if isinstance(chosen.frames, int) else chosen.frames
        length = int(rng.integers(least, most + 1))
        share = self._processes.share(len(batch))
        _, height, width = self._store.frames(self._store.sequences[batch[0]]).shape
        if not self._on_device:
            width -= 2 * cut_margin(width)
        frames = np.empty((len(share), length, height, width), np.uint8)
        steps: list[list[Step | None]] = [[None] * len(share) for _ in self._augment] if self._on_device else []
        for row, place in enumerate(share):
            # Each place has random numbers of its own, whichever process fills it.
            rng = np.random.default_rng((chosen.seed, iteration, 1 + place))
            frames[row] = self._drawn_frames(batch[place], length, rng)
            if self._on_device:
                for change, steps_by_row in zip(self._augment, steps, strict=True):
                    steps_by_row[row] = change.drawn((height, width), rng)
        classes = [self._classes[self._store.sequences[position].identity] for position in batch]
        return Batch(torch.from_numpy(frames), torch.tensor(classes), steps)

    def _drawn_frames(self, position: int, length: int, rng: np.random.Generator) -> np.ndarray:
        """Frames of a sequence, changed and cut unless the device does so."""
        stored = np.asarray(self._store.frames(self._store.sequences[position]))
        if self._sampling.order == "ordered":
            rows = sampling.ordered_frames(len(stored), length, self._sampling.skip, rng)
        else:
            rows = sampling.unordered_frames(len(stored), length, rng)
        if self._on_device:
            return stored[rows]
        if not self._augment:
            return cut(stored)[rows]  # cut first, so that only columns that stay are copied
        frames = stored[rows]
        for change in self._augment:
            frames = change(frames, rng)
        return cut(frames)


def on_device(
    batches: SilhouetteBatches, iterations: range, workers: int, device: torch.device, dtype: torch.dtype
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of some iterations in order: frames on a device, and identities on the CPU.

    ``workers`` processes make them ahead; 0 makes them in this process. Frames travel as bytes and become ``dtype`` in 0..1
    on the device.
    """
    loader = DataLoader(batches, batch_size=None, sampler=iterations, num_workers=workers, pin_memory=device.type == "cuda")
    for batch in loader:
        frames = batch.frames.to(device, non_blocking=True).to(dtype)
        if batch.steps:
            frames = device_augmentation.changed(frames, batch.steps)
            margin = cut_margin(frames.shape[3])
            frames = frames[..., margin : frames.shape[3] - margin]
        yield frames / 255, batch.identities
