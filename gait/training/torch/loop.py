"""Training with PyTorch: one loop, P x K batches of silhouettes, a weighted sum of losses."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from gait import losses
from gait.data.prepared.sequences import SequenceStore
from gait.errors import DataError
from gait.memory import keep_freed_memory, name_shortage
from gait.networks.torch_model import TorchModel
from gait.processes import Processes
from gait.training import decays
from gait.training.checkpoints import Checkpoints
from gait.training.precision import bfloat16_is_native
from gait.training.torch.batches import Sampling, SilhouetteBatches, on_device
from gait.training.validation import RATE, Validation
from gait.training.watching import Nobody, Watcher

BEST = "best."  # before the names of the best weights in a checkpoint


@dataclass(frozen=True)
class TorchTraining:
    """How to train; the names are those of params.yaml.

    Attributes:
        iterations: optimizer steps.
        decay: how the learning rate changes: a name of :mod:`gait.training.decays`, or "step".
        milestones: of "step": iterations at which the learning rate is multiplied by ``gamma``.
        optimizer: "sgd", "adam" or "adamw"; ``momentum`` is that of sgd.
        clip_norm: the greatest norm of the gradient, or None for no limit.
        loss: the terms of the weighted sum, as :func:`gait.losses.terms` takes them.
        sampling: the content of a batch.
        freeze_batch_norm: leave the statistics and weights of batch norms as they are.
        mixed_precision: compute in 16 bits where the processor does: bfloat16, or float16 with a scaled loss on GPUs that
            have no bfloat16. Weights and loss stay in float32.
        seed: the seed of random numbers in the network, such as dropout's.
    """

    iterations: int
    decay: str
    milestones: Sequence[int] | None
    gamma: float
    lr: float
    optimizer: str
    momentum: float
    weight_decay: float
    clip_norm: float | None
    loss: Sequence[Mapping[str, Any]]
    sampling: Sampling
    freeze_batch_norm: bool
    mixed_precision: bool
    seed: int

    def lr_at(self, iteration: int) -> float:
        """The learning rate of an iteration, counted from 1."""
        if self.decay != "step":
            return self.lr * decays.share(self.decay, iteration, self.iterations)
        return self.lr * self.gamma ** bisect_right(sorted(self.milestones or []), iteration - 1)


class _Learner(nn.Module):
    """The network and its classifier as one module, from frames to signatures and the classifier's outputs."""

    def __init__(self, model: TorchModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        signatures = self.model(frames)
        return signatures, None if self.model.classifier is None else self.model.classifier(signatures)


def fit(
    model: TorchModel,
    store: SequenceStore,
    train: Sequence[int],
    training: TorchTraining,
    *,
    workers: int = 0,
    processes: Processes | None = None,
    checkpoints: Checkpoints | None = None,
    watcher: Watcher | None = None,
    validation: Validation | None = None,
) -> list[dict[str, float]]:
    """Train a network in place.

    Args:
        model: the network; left in evaluation mode, on the device of the training.
        store: preprocessed silhouettes.
        train: positions of the training sequences.
        training: how to train.
        workers: processes that make batches ahead; 0 makes them in this one.
        processes: those that train together; if left out, this one alone.
        checkpoints: where training saves checkpoints; if there is one, training continues from it.
        watcher: hears of every iteration.
        validation: the tests on people set aside; if left out, the network has the last weights in the end.

    Returns:
        The history: for each iteration its number, loss, the loss's terms and their other figures, learning rate, and the
        rates of a test after it.

    Raises:
        DataError: the loss or a signature is no longer finite, there is no such loss, a checkpoint does not fit, or there is
            too little memory.
    """
    processes = processes or Processes()
    with name_shortage(processes.device, *_batch_and_remedy(training)):
        return _fit(model, store, train, training, workers, processes, checkpoints, watcher or Nobody(), validation)


def _batch_and_remedy(training: TorchTraining) -> tuple[str, str]:
    """The size of a batch in words, and what to do if memory is too short for it."""
    sampling = training.sampling
    frames = sampling.frames if isinstance(sampling.frames, int) else max(sampling.frames)
    batch = f"a batch is {sampling.identities} x {sampling.sequences} sequences of {frames} frames"
    lower = "lower sampling.identities, sampling.sequences or sampling.frames"
    halve = "" if training.mixed_precision else ", set mixed_precision: true"
    return batch, f"{lower}{halve}, or share the batch between more GPUs with train.processes"


def _fit(
    model: TorchModel,
    store: SequenceStore,
    train: Sequence[int],
    training: TorchTraining,
    workers: int,
    processes: Processes,
    checkpoints: Checkpoints | None,
    watcher: Watcher,
    validation: Validation | None,
) -> list[dict[str, float]]:
    terms = losses.terms(training.loss)
    if processes.device.type == "cpu":
        keep_freed_memory()
    _begin_to_learn(model, training)
    learner = processes.wrapped(_Learner(model))
    optimizer = _optimizer(model, training)
    dtype = mixed_type(processes.device) if training.mixed_precision else None
    scaler = torch.amp.GradScaler(processes.device.type, enabled=dtype is torch.float16)
    rows, best = _resumed(checkpoints, model, optimizer, scaler)
    history = _History(rows, training, watcher, checkpoints)
    batches = SilhouetteBatches(store, train, training.sampling, processes)
    stalled = validation is not None and validation.has_stalled(rows)
    iterations = range(len(rows) + 1, 1 + (len(rows) if stalled else training.iterations))
    ahead = on_device(batches, iterations, workers, processes.device, next(model.parameters()).dtype)
    watcher.step(len(history.rows), training.iterations)
    for iteration, (frames, identities) in zip(iterations, ahead, strict=True):
        torch.manual_seed(_seed_of(training.seed, iteration, processes.rank))
        for group in optimizer.param_groups:
            group["lr"] = training.lr_at(iteration)
        with torch.autocast(processes.device.type, dtype, enabled=dtype is not None):
            signatures, outputs = learner(frames)
        signatures = processes.whole(_precise(signatures))
        outputs = None if outputs is None else processes.whole(_precise(outputs))
        loss, figures = _weighed(terms, signatures, outputs, identities)
        if processes.size > 1 and outputs is not None:
            loss = loss + 0 * outputs.sum()  # processes wait for each other's gradients of a classifier that no loss reads
        optimizer.zero_grad(set_to_none=True)
        # Every process has the whole loss but only its own part of the gradient, and the parts are averaged.
        scaler.scale(loss * processes.size).backward()
        if training.clip_norm is not None:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), training.clip_norm)
        scaler.step(optimizer)
        scaler.update()
        # Signatures that are not numbers violate no margin, so the loss may be finite all the same.
        sound = torch.isfinite(loss) & torch.isfinite(signatures).all()
        history.add({"loss": torch.where(sound, loss.detach(), torch.nan), **figures})
        if validation is not None and validation.due(iteration, training.iterations):
            history.read(partial(_tested, validation, model, processes))
            _begin_to_learn(model, training)
            stalled = validation.has_stalled(rows)
            if validation.is_best(rows):
                best = _copied(model)
        if checkpoints is not None and (checkpoints.due() or stalled or iteration == training.iterations):
            history.read()
            if processes.first:
                _save(checkpoints, optimizer, scaler, rows, best)
        if stalled:
            break
    history.read()
    if best:
        model.load_state_dict(best)
    model.eval()
    return rows


def _begin_to_learn(model: TorchModel, training: TorchTraining) -> None:
    model.train()
    if training.freeze_batch_norm:
        _freeze(model)


def _tested(validation: Validation, model: TorchModel, processes: Processes) -> dict[str, float]:
    """The rates of a test, by all processes together; those beside the first have the one that they decide by."""
    processes.agree(model)
    rates = validation.rates(model.eval())
    rate = torch.tensor([rates.get(RATE, 0.0)], dtype=torch.float64, device=processes.device)
    return {**rates, RATE: float(processes.whole(rate)[0])}


def _copied(model: TorchModel) -> dict[str, Tensor]:
    return {name: value.detach().to("cpu", copy=True) for name, value in model.state_dict().items()}


def batches_with_losses(
    model: TorchModel, store: SequenceStore, train: Sequence[int], sampling: Sampling, loss: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[Tensor, Callable[[Tensor], Tensor]]]:
    """The batches of a training and their losses, to ask how the loss depends on something.

    Args:
        model: the network in evaluation mode, on the CPU.
        store, train: as for :func:`fit`.
        sampling, loss: those of the training.

    Yields:
        Frames [n, frames, height, width] in 0..1, and a function from the network's signatures for them to the loss; from
        the first iteration on, without end.
    """
    terms = losses.terms(loss)
    keep_freed_memory()
    device, dtype = torch.device("cpu"), next(model.parameters()).dtype
    batches = SilhouetteBatches(store, train, sampling, Processes(device=device))

    def loss_of(signatures: Tensor, identities: Tensor) -> Tensor:
        outputs = None if model.classifier is None else model.classifier(signatures)
        return _weighed(terms, signatures, outputs, identities)[0]

    for iteration in count(1):
        ((frames, identities),) = on_device(batches, range(iteration, iteration + 1), 0, device, dtype)
        yield frames, partial(loss_of, identities=identities)


def mixed_type(device: torch.device) -> torch.dtype | None:
    """The 16-bit type for mixed precision on a device, or None if the device gains nothing from one."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    return torch.bfloat16 if bfloat16_is_native() else None


def _precise(values: Tensor) -> Tensor:
    """Values in at least float32."""
    return values if values.dtype is torch.float64 else values.float()


def _freeze(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval().requires_grad_(False)


def _optimizer(model: TorchModel, training: TorchTraining) -> torch.optim.Optimizer:
    if training.optimizer == "sgd":
        return torch.optim.SGD(
            model.parameters(), training.lr, momentum=training.momentum, weight_decay=training.weight_decay
        )
    adam = torch.optim.AdamW if training.optimizer == "adamw" else torch.optim.Adam
    return adam(model.parameters(), training.lr, weight_decay=training.weight_decay)


def _seed_of(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def _weighed(
    terms: Sequence[losses.Term], signatures: Tensor, outputs: Tensor | None, identities: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum of the terms, and figures: each term if there are several, and the terms' other scalars."""
    total = torch.zeros((), device=signatures.device)
    figures: dict[str, Tensor] = {}
    for term in terms:
        loss, other_figures = term.compute(signatures, outputs, identities)
        total = total + term.weight * loss
        figures |= ({term.name: loss.detach()} if len(terms) > 1 else {}) | other_figures
    return total, figures


class _Figures:
    """Scalars that the device is still computing, on their way to the CPU.

    Reading from a GPU waits for all work that it was given before. So the copy to the CPU is queued at once, with an event
    after it, and reading the figures waits for that event alone.
    """

    def __init__(self, values: Mapping[str, Tensor]) -> None:
        device = values["loss"].device
        self._names = list(values)
        # float64 holds each of them exactly.
        figures = torch.stack([value.to(device, torch.float64) for value in values.values()])
        self._sent: torch.cuda.Event | None = None
        if device.type == "cuda":
            figures = figures.to("cpu", non_blocking=True)
            self._sent = torch.cuda.Event()
            self._sent.record(torch.cuda.current_stream(device))
        self._figures = figures

    def read(self) -> dict[str, float]:
        if self._sent is not None:
            self._sent.synchronize()
        return dict(zip(self._names, self._figures.tolist(), strict=True))


class _History:
    """The rows of a training. A row is read when the next one is added, so that the GPU is busy meanwhile."""

    def __init__(
        self, rows: list[dict[str, float]], training: TorchTraining, watcher: Watcher, checkpoints: Checkpoints | None
    ) -> None:
        self.rows = rows
        self._training, self._watcher, self._checkpoints = training, watcher, checkpoints
        self._unread: _Figures | None = None

    def add(self, values: Mapping[str, Tensor]) -> None:
        self.read()
        self._unread = _Figures(values)

    def read(self, further: Callable[[], Mapping[str, float]] = dict) -> None:
        """Read the values that were added last, unless they were read before.

        Args:
            further: makes more values of this iteration, if the loss is finite.

        Raises:
            DataError: the loss is not finite.
        """
        if self._unread is None:
            return
        iteration = len(self.rows) + 1
        values = self._unread.read()
        if not np.isfinite(values["loss"]):
            kept = f"; the last good checkpoint: {self._checkpoints}" if self._checkpoints else ""
            raise DataError(f"training diverged in iteration {iteration}: signatures are not finite; try a lower lr{kept}")
        self.rows.append({"iteration": iteration, **values, "lr": self._training.lr_at(iteration), **further()})
        self._unread = None
        self._watcher.row(iteration, self.rows[-1])
        self._watcher.step(iteration, self._training.iterations)


def _save(
    checkpoints: Checkpoints,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    history: list[dict[str, float]],
    best: Mapping[str, Tensor],
) -> None:
    state = optimizer.state_dict()["state"]
    tensors = {
        f"{parameter}.{name}": value.cpu().numpy()
        for parameter, values in state.items()
        for name, value in values.items()
        if value is not None
    }
    tensors |= {f"{BEST}{name}": value.numpy() for name, value in best.items()}
    checkpoints.save({"done": len(history), "history": history, "scaler": scaler.state_dict()}, tensors)


def _resumed(
    checkpoints: Checkpoints | None, model: TorchModel, optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler
) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
    """Load the last checkpoint, if there is one, and return its history and the best weights, if any were kept."""
    checkpoint = checkpoints and checkpoints.load()
    if not checkpoint:
        return [], {}
    directory, state, tensors = checkpoint
    best = {name.removeprefix(BEST): torch.from_numpy(tensors.pop(name)) for name in list(tensors) if name.startswith(BEST)}
    by_parameter: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        parameter, _, key = name.partition(".")
        by_parameter.setdefault(int(parameter), {})[key] = torch.from_numpy(value)
    try:
        model.load_state_dict(load_file(directory / "weights.safetensors"))
        optimizer.load_state_dict({**optimizer.state_dict(), "state": by_parameter})
        scaler.load_state_dict(state["scaler"])
    except (RuntimeError, ValueError, KeyError) as error:
        raise DataError(f"{directory}: the checkpoint does not fit ({error}); remove it to train from the start") from None
    return state["history"], best
