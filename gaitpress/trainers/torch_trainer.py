"""Training with PyTorch, as :mod:`gaitpress.trainers` asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from gait import embedding
from gait.data.prepared.sequences import SequenceStore
from gait.processes import Processes
from gait.training.torch import loop as torch_loop
from gait.training.torch.batches import Sampling
from gaitpress.frameworks.torch_models import check_size
from gaitpress.params.finetune import TorchFinetune
from gaitpress.params.model import TorchModel
from gaitpress.trainers import validation

joined = Processes.joined


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


def gradient_batches(model: Any, store: SequenceStore, train: Sequence[int], entry: TorchModel) -> Iterator[tuple[Any, Any]]:
    check_size(model, store)
    phase = entry.phases()[-1]
    return torch_loop.batches_with_losses(model, store, train, _sampling(phase), _loss(phase))


def _sampling(entry: TorchModel) -> Sampling:
    return Sampling(**dict(entry.sampling), augment=[change.model_dump() for change in entry.augment], seed=entry.seed)


def _loss(entry: TorchModel) -> list[dict[str, Any]]:
    return [term.model_dump() for term in entry.loss]


def _fit(
    model: Any,
    store: SequenceStore,
    train: Sequence[int],
    entry: TorchModel,
    schedule: Mapping[str, Any],
    session: Mapping[str, Any],
) -> Any:
    check_size(model, store)
    training = torch_loop.TorchTraining(
        **schedule,
        optimizer=entry.optimizer.name,
        momentum=entry.optimizer.momentum,
        weight_decay=entry.optimizer.weight_decay,
        clip_norm=entry.optimizer.clip_norm,
        loss=_loss(entry),
        sampling=_sampling(entry),
        mixed_precision=entry.mixed_precision,
        seed=entry.seed,
    )
    embed = partial(embedding.embed, processes=session["processes"])
    tests = validation(entry, store, session["validation"], embed)
    return torch_loop.fit(model, store, train, training, **{**session, "validation": tests})
