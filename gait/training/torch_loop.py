"""Training with PyTorch: one loop, P x K batches of silhouettes, a weighted sum of losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
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
        loss: the terms of the weighted sum, as :func:`gait.losses.terms` takes them.
        identities, sequences, frames: P, K and the frames a sequence of each batch.
        order, skip: "unordered" frames, or "ordered" ones from a window of ``frames + skip``.
        mixed_precision: compute in bfloat16 where that is safe and the CPU can; weights and loss stay in float32.
    """

    iterations: int
    milestones: Sequence[int]
    gamma: float
    lr: float
    optimizer: str
    momentum: float
    weight_decay: float
    loss: Sequence[Mapping[str, Any]]
    identities: int
    sequences: int
    frames: int
    order: str
    skip: int
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
        The history: for each iteration its number, loss, the terms of it and what they tell, and learning rate.

    Raises:
        DataError: the loss or a signature is no longer finite, or there is no such loss.
    """
    torch.manual_seed(training.seed)
    rng = np.random.default_rng(training.seed)
    terms = losses.terms(training.loss)
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
        frames = np.stack([_draw(store, train[position], training, rng) for position in batch])
        identities = torch.tensor([numbers[names[position]] for position in batch])
        with torch.autocast("cpu", torch.bfloat16, enabled=in_bfloat16):
            signatures = model(torch.from_numpy(frames))
            outputs = None if model.classifier is None else model.classifier(signatures)
        loss, told = _weighed(terms, signatures, outputs, identities)
        # Signatures that are not numbers violate no margin, so the loss alone would not tell.
        if not (torch.isfinite(loss) and torch.isfinite(signatures).all()):
            raise DataError(f"training diverged in iteration {iteration}: signatures are not finite; try a lower lr")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        step = {name: value.item() for name, value in {"loss": loss, **told}.items()}
        history.append({"iteration": iteration, **step, "lr": scheduler.get_last_lr()[0]})
        scheduler.step()
    model.eval()
    return history


def _optimizer(model: TorchModel, training: TorchTraining) -> torch.optim.Optimizer:
    if training.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), training.lr, weight_decay=training.weight_decay)
    return torch.optim.SGD(model.parameters(), training.lr, momentum=training.momentum, weight_decay=training.weight_decay)


def _weighed(
    terms: Sequence[losses.Term], signatures: Tensor, outputs: Tensor | None, identities: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum of the terms; each term by itself if there are several, and what they tell."""
    total = torch.zeros(())
    told: dict[str, Tensor] = {}
    for term in terms:
        loss, others = term.compute(signatures, outputs, identities)
        total = total + term.weight * loss
        told |= ({term.name: loss} if len(terms) > 1 else {}) | others
    return total, told


def _draw(store: SequenceStore, position: int, training: TorchTraining, rng: np.random.Generator) -> np.ndarray:
    stored = store.frames(store.sequences[position])
    if training.order == "ordered":
        chosen = sampling.ordered_frames(len(stored), training.frames, training.skip, rng)
    else:
        chosen = sampling.unordered_frames(len(stored), training.frames, rng)
    return network_input(stored[chosen], store.kind)
