"""PyTorch models behind the protocol of :mod:`stages.frameworks`."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from gait.data.sequences import SequenceStore
from gait.evaluation import signatures
from gait.models import torch_model
from gait.training import torch_loop
from stages.io import progress
from stages.params import TorchFinetune, TorchModel

HEIGHT, WIDTH = 64, 44
save, load = torch_model.save, torch_model.load


def use_threads(count: int) -> None:
    torch.set_num_threads(count)
    # The order of sums depends on the algorithm chosen; this keeps the choice the same from run to run.
    torch.use_deterministic_algorithms(True)


def build(name: str, entry: TorchModel, classes: int) -> torch_model.TorchModel:
    torch.manual_seed(entry.seed)
    return importlib.import_module(f"gait.models.{name}").build(entry.architecture, entry.width)


def fit(model: Any, store: SequenceStore, train: Sequence[int], entry: TorchModel) -> list[dict[str, float]]:
    return _fit(model, store, train, entry, lr=entry.optimizer.lr, **dict(entry.schedule))


def finetune(
    model: Any, store: SequenceStore, train: Sequence[int], entry: TorchModel, settings: TorchFinetune
) -> list[dict[str, float]]:
    return _fit(model, store, train, entry, gamma=entry.schedule.gamma, **dict(settings))


def _fit(model: Any, store: SequenceStore, train: Sequence[int], entry: TorchModel, **schedule: Any) -> Any:
    training = torch_loop.TorchTraining(
        **schedule,
        optimizer=entry.optimizer.name,
        momentum=entry.optimizer.momentum,
        weight_decay=entry.optimizer.weight_decay,
        margin=entry.loss.margin,
        **dict(entry.sampling),
        mixed_precision=entry.mixed_precision,
        seed=entry.seed,
    )
    return torch_loop.fit(model, store, train, training, lambda steps: progress(steps, len(steps), "training"))


def embed(model: Any, store: SequenceStore, positions: Sequence[int]) -> signatures.Signatures:
    shape: list[int | str] = [1, "frames", HEIGHT, WIDTH]
    inputs = (
        sample
        for position in progress(positions, len(positions), "embedding")
        for sample in signatures.samples(store, store.sequences[position], shape)
    )
    found = (output for sample in inputs for output in outputs(model, [sample]))
    return signatures.Signatures.collect(signatures.owners(store, positions, shape), found)


def input_shape(entry: TorchModel, dynamic_frames: bool) -> list[int | str]:
    return [1, "frames" if dynamic_frames else entry.frames, HEIGHT, WIDTH]


def benchmark_shape(entry: TorchModel) -> list[int]:
    return [1, entry.frames, HEIGHT, WIDTH]


def inferences_per_video_second(entry: TorchModel, store: SequenceStore) -> float:
    return store.fps / entry.frames


def network(model: Any) -> Any:
    return model


@torch.inference_mode()
def outputs(model: Any, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [model(torch.from_numpy(each)).numpy() for each in inputs]


def parameters(model: Any) -> int:
    return sum(tensor.numel() for tensor in model.parameters())
