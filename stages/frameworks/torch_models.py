"""PyTorch models behind the protocol of :mod:`stages.frameworks`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from gait.data.sequences import SequenceStore
from gait.errors import DataError
from gait.evaluation import signatures
from gait.models import torch_model
from gait.training import torch_loop
from gait.training.batches import Sampling
from gait.training.processes import Processes
from stages.io import progress
from stages.params import TorchFinetune, TorchModel

joined = Processes.joined
save, load = torch_model.save, torch_model.load


def use_threads(count: int) -> None:
    torch.set_num_threads(count)
    # The order of sums depends on the algorithm chosen; this keeps the choice the same from run to run. On GPUs, a few
    # operations have none that does: there it warns.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())


def build(name: str, entry: TorchModel, classes: int) -> torch_model.TorchModel:
    torch.manual_seed(entry.seed)
    return torch_model.build(name, entry.architecture, entry.width, classes)


def carry_over(model: torch_model.TorchModel, previous: torch_model.TorchModel) -> None:
    model.load_state_dict(previous.state_dict(), strict=False)


def fit(
    model: Any, store: SequenceStore, train: Sequence[int], entry: TorchModel, session: Mapping[str, Any]
) -> list[dict[str, float]]:
    schedule = {**dict(entry.schedule), "lr": entry.optimizer.lr, "freeze_batch_norm": entry.freeze_batch_norm}
    return _fit(model, store, train, entry, schedule, session)


def finetune(
    model: Any,
    store: SequenceStore,
    train: Sequence[int],
    entry: TorchModel,
    settings: TorchFinetune,
    session: Mapping[str, Any],
) -> list[dict[str, float]]:
    schedule = {"gamma": entry.schedule.gamma, **dict(settings)}
    return _fit(model, store, train, entry.phases()[-1], schedule, session)


def _fit(
    model: Any,
    store: SequenceStore,
    train: Sequence[int],
    entry: TorchModel,
    schedule: Mapping[str, Any],
    session: Mapping[str, Any],
) -> Any:
    _check_size(model, store)
    drawn = Sampling(**dict(entry.sampling), augment=[change.model_dump() for change in entry.augment], seed=entry.seed)
    training = torch_loop.TorchTraining(
        **schedule,
        optimizer=entry.optimizer.name,
        momentum=entry.optimizer.momentum,
        weight_decay=entry.optimizer.weight_decay,
        clip_norm=entry.optimizer.clip_norm,
        loss=[term.model_dump() for term in entry.loss],
        sampling=drawn,
        mixed_precision=entry.mixed_precision,
        seed=entry.seed,
    )
    return torch_loop.fit(model, store, train, training, **session)


def _check_size(model: Any, store: SequenceStore) -> None:
    height = model.frame_shape[0]
    if store.settings.get("size") != height:
        raise DataError(
            f"{model.architecture.name} takes silhouettes of {height} px, and modality {store.modality} has "
            f"{store.settings.get('size', 'none')}: add an entry with kind: silhouette, size: {height} to preprocess and "
            f"modalities, and name it under model.{model.architecture.name}.modality"
        )


def embed(model: Any, store: SequenceStore, positions: Sequence[int], processes: Processes) -> signatures.Signatures | None:
    _check_size(model, store)
    shape: list[int | str] = [1, "frames", *model.frame_shape]
    model.to(processes.device)
    own = positions[processes.rank :: processes.size]
    watched = progress(own, len(own), "embedding") if processes.first else own
    found = (
        output
        for position in watched
        for output in outputs(model, signatures.samples(store, store.sequences[position], shape))
    )
    # Any number of frames is one sample, so a sequence has one row.
    rows = processes.gathered(found, [1] * len(positions))
    if not processes.first:
        return next(rows, None)
    return signatures.Signatures.collect(signatures.owners(store, positions, shape), rows)


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
    device = next(model.parameters()).device
    return [model(torch.from_numpy(each).to(device)).cpu().numpy() for each in inputs]


def parameters(model: Any) -> int:
    every = sum(tensor.numel() for tensor in model.parameters())
    return every - sum(tensor.numel() for tensor in model.classifier.parameters()) if model.classifier else every


def signature_shape(model: Any) -> list[int]:
    return torch_model.signature_shape(model)


def layers(model: Any, entry: TorchModel) -> list[dict[str, Any]]:
    return torch_model.layers(model, entry.frames)
