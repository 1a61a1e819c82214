"""Training and embedding with PyTorch: one loop, P x K batches of frame sets, triplet loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import MultiStepLR

from gait import losses, sampling
from gait.data.inputs import network_input
from gait.data.sequences import SequenceStore
from gait.errors import DataError
from gait.models.torch_model import TorchModel
from gait.training.precision import bfloat16_is_native


@dataclass(frozen=True)
class TorchTraining:
    """How to train; the names are those of params.yaml.

    Attributes:
        iterations: optimizer steps.
        milestones: iterations at which the learning rate is multiplied by ``gamma``.
        identities, sequences, frames: P, K and the frames a sequence of each batch.
        mixed_precision: compute in bfloat16 where that is safe and the CPU can; weights and loss stay in float32.
    """

    iterations: int
    milestones: Sequence[int]
    gamma: float
    lr: float
    optimizer: str
    momentum: float
    weight_decay: float
    margin: float
    identities: int
    sequences: int
    frames: int
    mixed_precision: bool
    seed: int


def fit(
    model: TorchModel,
    store: SequenceStore,
    train: Sequence[int],
    training: TorchTraining,
    progress: Callable[[range], Any] = iter,
) -> list[dict[str, float]]:
    """Train a network in place.

    Args:
        model: the network; left in evaluation mode.
        store: preprocessed silhouettes.
        train: positions of the training sequences.
        training: how.
        progress: wraps the range of iterations, to show how far training is.

    Returns:
        The history: for each iteration its number, loss, share of violating triplets, and learning rate.

    Raises:
        DataError: the loss or a signature is no longer finite.
    """
    torch.manual_seed(training.seed)
    rng = np.random.default_rng(training.seed)
    optimizer = _optimizer(model, training)
    scheduler = MultiStepLR(optimizer, list(training.milestones), training.gamma)
    names = [store.sequences[position].identity for position in train]
    batches = sampling.identity_batches(names, training.identities, training.sequences, rng)
    numbers = {name: number for number, name in enumerate(sorted(set(names)))}
    in_bfloat16 = training.mixed_precision and bfloat16_is_native()
    history = []
    model.train()
    for iteration in progress(range(1, training.iterations + 1)):
        batch = next(batches)
        frames = np.stack([_draw(store, train[position], training.frames, rng) for position in batch])
        identities = torch.tensor([numbers[names[position]] for position in batch])
        with torch.autocast("cpu", torch.bfloat16, enabled=in_bfloat16):
            signatures = model(torch.from_numpy(frames))
        loss, violating = losses.triplet(signatures, identities, training.margin)
        # Signatures that are not numbers violate no margin, so the loss alone would not tell.
        if not (torch.isfinite(loss) and torch.isfinite(signatures).all()):
            raise DataError(f"training diverged in iteration {iteration}: signatures are not finite; try a lower lr")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        step = {"iteration": iteration, "loss": loss.item(), "violating": violating.item()}
        history.append({**step, "lr": scheduler.get_last_lr()[0]})
        scheduler.step()
    model.eval()
    return history


def _optimizer(model: TorchModel, training: TorchTraining) -> torch.optim.Optimizer:
    if training.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), training.lr, weight_decay=training.weight_decay)
    return torch.optim.SGD(model.parameters(), training.lr, momentum=training.momentum, weight_decay=training.weight_decay)


def _draw(store: SequenceStore, position: int, frames: int, rng: np.random.Generator) -> np.ndarray:
    stored = store.frames(store.sequences[position])
    return network_input(stored[sampling.unordered_frames(len(stored), frames, rng)], store.kind)
