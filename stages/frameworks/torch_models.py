"""PyTorch models behind the protocol of :mod:`stages.frameworks`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from gait.data.sequences import SequenceStore
from gait.errors import DataError
from gait.evaluation import signatures
from gait.models import torch_model
from gait.training import torch_loop
from stages.io import progress
from stages.params import TorchFinetune, TorchModel

save, load = torch_model.save, torch_model.load


def use_threads(count: int) -> None:
    torch.set_num_threads(count)
    # The order of sums depends on the algorithm chosen; this keeps the choice the same from run to run.
    torch.use_deterministic_algorithms(True)


def build(name: str, entry: TorchModel, classes: int) -> torch_model.TorchModel:
    torch.manual_seed(entry.seed)
    return torch_model.build(name, entry.architecture, entry.width, classes)


def carry_over(model: torch_model.TorchModel, previous: torch_model.TorchModel) -> None:
    model.load_state_dict(previous.state_dict(), strict=False)


def fit(model: Any, store: SequenceStore, train: Sequence[int], entry: TorchModel) -> list[dict[str, float]]:
    return _fit(model, store, train, entry, lr=entry.optimizer.lr, **dict(entry.schedule))


def finetune(
    model: Any, store: SequenceStore, train: Sequence[int], entry: TorchModel, settings: TorchFinetune
) -> list[dict[str, float]]:
    return _fit(model, store, train, entry.phases()[-1], gamma=entry.schedule.gamma, **dict(settings))


def _fit(model: Any, store: SequenceStore, train: Sequence[int], entry: TorchModel, **schedule: Any) -> Any:
    _check_size(model, store)
    training = torch_loop.TorchTraining(
        **schedule,
        optimizer=entry.optimizer.name,
        momentum=entry.optimizer.momentum,
        weight_decay=entry.optimizer.weight_decay,
        loss=[term.model_dump() for term in entry.loss],
        **dict(entry.sampling),
        mixed_precision=entry.mixed_precision,
        seed=entry.seed,
    )
    return torch_loop.fit(model, store, train, training, lambda steps: progress(steps, len(steps), "training"))


def _check_size(model: Any, store: SequenceStore) -> None:
    height = model.frame_shape[0]
    if store.settings.get("size") != height:
        raise DataError(
            f"{model.architecture.name} takes silhouettes of {height} px, and modality {store.modality} has "
            f"{store.settings.get('size', 'none')}: add an entry with kind: silhouette, size: {height} to preprocess and "
            f"modalities, and name it under model.{model.architecture.name}.modality"
        )


def embed(model: Any, store: SequenceStore, positions: Sequence[int]) -> signatures.Signatures:
    _check_size(model, store)
    shape: list[int | str] = [1, "frames", *model.frame_shape]
    inputs = (
        sample
        for position in progress(positions, len(positions), "embedding")
        for sample in signatures.samples(store, store.sequences[position], shape)
    )
    found = (output for sample in inputs for output in outputs(model, [sample]))
    return signatures.Signatures.collect(signatures.owners(store, positions, shape), found)


def input_shape(model: Any, entry: TorchModel, dynamic_frames: bool) -> list[int | str]:
    return [1, "frames" if dynamic_frames else entry.frames, *model.frame_shape]


def benchmark_shape(model: Any, entry: TorchModel) -> list[int]:
    return [1, entry.frames, *model.frame_shape]


def inferences_per_video_second(entry: TorchModel, store: SequenceStore) -> float:
    return store.fps / entry.frames


def network(model: Any) -> Any:
    return model


@torch.inference_mode()
def outputs(model: Any, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [model(torch.from_numpy(each)).numpy() for each in inputs]


def parameters(model: Any) -> int:
    every = sum(tensor.numel() for tensor in model.parameters())
    return every - sum(tensor.numel() for tensor in model.classifier.parameters()) if model.classifier else every


def signature_shape(model: Any) -> list[int]:
    return torch_model.signature_shape(model)


def layers(model: Any, entry: TorchModel) -> list[dict[str, Any]]:
    return torch_model.layers(model, entry.frames)
