"""Is training right on the device? Each check raises AssertionError if not, and returns the figures that it looked at."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.gpu.parts import Context
from benchmarks.gpu.settings import MODELS, TRIPLET, cross_entropy, network
from gait import losses
from gait.data.prepared.sequences import SequenceStore, StoreWriter
from gait.embedding import embed
from gait.errors import DataError
from gait.evaluation import device_ranking, ranking
from gait.evaluation.blocks import Search
from gait.networks import torch_model
from gait.processes import Processes
from gait.training.checkpoints import Checkpoints
from gait.training.torch import device_augmentation
from gait.training.torch import loop as torch_loop
from gait.training.torch.batches import Sampling, SilhouetteBatches

CPU = Processes(device=torch.device("cpu"))
PEOPLE, WALKS, LENGTH = 3, 4, 6
# The share of the mean loss in float32 by which the losses in 16 bits may differ, on average over all iterations.
BAND, BAND_ITERATIONS = 0.05, 50
WIDTH = 0.125
# By how much a gradient in float32 may be off; and the least cosine of one with fewer bits: those round so coarsely that
# other pixels become maxima, to which all of the gradient goes.
OFF, COSINE = 0.01, 0.9
TINY = ("gaitset", "gaitgl", "gaitbase")
TRAINING = torch_loop.TorchTraining(
    iterations=30, decay="step", milestones=[25], gamma=0.1, lr=1e-3, optimizer="adam", momentum=0.9, weight_decay=0.0,
    clip_norm=None,
    loss=[TRIPLET], sampling=Sampling(3, 2, 4, "unordered", 0, augment=[], seed=3), freeze_batch_norm=False,
    mixed_precision=False, seed=3,
)  # fmt: skip


def made_store(directory: Path) -> SequenceStore:
    """People of different width, easy to tell apart, in noise."""
    rng = np.random.default_rng(0)
    writer = StoreWriter(directory, (64, 64), "uint8")
    for person in range(PEOPLE):
        for number in range(1, WALKS + 1):
            frames = np.zeros((LENGTH, 64, 64), np.uint8)
            half = 5 + 4 * person
            frames[:, 4:60, 32 - half : 32 + half] = 255
            frames[rng.random(frames.shape) < 0.1] = 0
            writer.add(f"{person:03d}", f"nm-{number:02d}", "090", frames)
    facts: dict[str, Any] = {"identities": [], "split": {}, "settings": {"kind": "silhouette", "pixels": 64}}
    writer.close(modality="silhouette", dataset="made", evidence="synthetic", fps=25, **facts)
    return SequenceStore.open(directory)


class Subject:
    """A device and a store, with the training that several checks do on them."""

    def __init__(self, device: torch.device, tiny: bool, folder: Path) -> None:
        self.processes, self.tiny = Processes(device=device), tiny
        self.store = made_store(folder)
        self.everyone = range(len(self.store.sequences))

    @property
    def device(self) -> torch.device:
        return self.processes.device

    def trained(
        self, training: torch_loop.TorchTraining, processes: Processes | None = None, **around: Any
    ) -> tuple[torch_model.TorchModel, list[float]]:
        """A small GaitSet after a training, and its losses."""
        model = network("gaitset", WIDTH)
        rows = torch_loop.fit(model, self.store, self.everyone, training, processes=processes or self.processes, **around)
        return model, [row["loss"] for row in rows]


def the_loss_falls(subject: Subject) -> dict[str, Any]:
    """In float32, in the device's 16 bits, and in float16 with a scaled loss, with batches made by other processes."""
    losses_by_type = {}
    best = torch_loop.mixed_type(subject.device)
    for name, kind in {"float32": None, "mixed": best, "float16": torch.float16}.items():
        training = replace(TRAINING, mixed_precision=kind is not None, iterations=15 if subject.tiny else 30)
        with _computing_in(kind):
            model, history = subject.trained(training, workers=0 if subject.tiny else 2)
        assert next(model.parameters()).device.type == subject.device.type
        assert history[-1] < history[0] / 2, f"from {history[0]} to {history[-1]}"
        losses_by_type[name] = [round(history[0], 4), round(history[-1], 4)]
    return losses_by_type


def the_first_losses_are_those_of_the_cpu(subject: Subject) -> dict[str, Any]:
    training = replace(TRAINING, iterations=5)
    ours, theirs = (np.array(subject.trained(training, processes=who)[1]) for who in (subject.processes, CPU))
    off = float(np.abs(ours / theirs - 1).max())
    assert off <= 1e-3, f"off by {off:.2g} of the loss"
    return {"off_by": off}


def sixteen_bits_stay_in_the_band(subject: Subject) -> dict[str, Any]:
    """Losses in bfloat16, and in float16 with a scaled loss, beside those in float32."""
    iterations = 8 if subject.tiny else BAND_ITERATIONS
    training = replace(TRAINING, iterations=iterations, optimizer="sgd", lr=0.01, decay="constant")
    exact = np.array(subject.trained(training)[1])
    figures: dict[str, Any] = {"band": BAND}
    for kind in (torch.bfloat16, torch.float16):
        with _computing_in(kind):
            losses_in_kind = np.array(subject.trained(replace(training, mixed_precision=True))[1])
        off = float(np.abs(losses_in_kind - exact).mean() / exact.mean())
        name = str(kind).removeprefix("torch.")
        assert off <= BAND, f"{name}: off by {off:.3f} of the mean loss in float32"
        figures[name] = round(off, 5)
    return figures


@contextmanager
def _computing_in(kind: torch.dtype | None) -> Iterator[None]:
    chosen = torch_loop.mixed_type
    torch_loop.mixed_type = lambda device: kind
    try:
        yield
    finally:
        torch_loop.mixed_type = chosen


def gradients_are_those_of_float64(subject: Subject) -> dict[str, Any]:
    """Of every model, against the CPU's in float64: the difference's share of the length, and the cosine."""
    figures: dict[str, Any] = {}
    for name in TINY if subject.tiny else MODELS:
        exact = _gradient(name, CPU.device, torch.float64, None)
        figures[name] = {}
        for kind in ("float32", "tf32", "bfloat16") if subject.device.type == "cuda" else ("float32", "bfloat16"):
            with tensor_cores(kind == "tf32"):
                ours = _gradient(name, subject.device, torch.float32, torch.bfloat16 if kind == "bfloat16" else None)
            off, cosine = float((ours - exact).norm() / exact.norm()), float(ours @ exact / ours.norm() / exact.norm())
            figures[name][kind] = {"off_by": float(f"{off:.2g}"), "cosine": round(cosine, 4)}
    for name, kinds in figures.items():
        assert kinds["float32"]["off_by"] <= OFF, f"{name} in float32 is off by more than {OFF}: {figures}"
        for kind, of_kind in kinds.items():
            assert of_kind["cosine"] >= COSINE, f"{name} in {kind} has a cosine below {COSINE}: {figures}"
    return figures


@contextmanager
def tensor_cores(allowed: bool) -> Iterator[None]:
    """Whether float32 may be computed in TF32."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def _gradient(name: str, device: torch.device, weights: torch.dtype, kind: torch.dtype | None) -> Tensor:
    """The gradient of a narrow model, in one vector. Frames are grey at random: equal pixels would have equal maxima."""
    model = network(name, WIDTH, PEOPLE).to(device, weights).train()
    frames = torch.rand(6, 3, *model.frame_shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    identities = torch.arange(6) // 2
    described = [TRIPLET] if model.classifier is None else [TRIPLET, cross_entropy(1.0, 16)]
    with torch.autocast(device.type, kind, enabled=kind is not None):
        signatures = model(frames.to(device, weights))
        outputs = None if model.classifier is None else model.classifier(signatures)
    if kind is not None:
        signatures, outputs = signatures.float(), None if outputs is None else outputs.float()
    total = sum(term.weight * term.compute(signatures, outputs, identities)[0] for term in losses.terms(described))
    assert isinstance(total, Tensor)
    total.backward()
    return torch.cat([tensor.grad.flatten().cpu().double() for tensor in model.parameters() if tensor.grad is not None])


def an_interrupted_training_goes_on(subject: Subject) -> dict[str, Any]:
    """Three iterations and three more, beside six: bit for bit, or how far apart; and whether six are twice the same."""
    training = replace(TRAINING, iterations=6)
    with _deterministic(), tempfile.TemporaryDirectory() as folder:
        (whole, losses_of_whole), (again, _) = (subject.trained(training) for _ in range(2))
        for iterations in (3, 6):
            model = network("gaitset", WIDTH)
            checkpoints = Checkpoints(Path(folder), 0, partial(torch_model.save, model))
            rows = torch_loop.fit(
                model, subject.store, subject.everyone, replace(training, iterations=iterations),
                processes=subject.processes, checkpoints=checkpoints,
            )  # fmt: skip
    off = _apart(whole, model)
    np.testing.assert_allclose([row["loss"] for row in rows], losses_of_whole, rtol=1e-4)
    assert max(off.values()) <= 1e-4, f"weights differ: {off}"
    return {
        "bit_for_bit": not any(off.values()),
        "differs": {name: float(f"{value:.2g}") for name, value in off.items() if value},
        "repeats_bit_for_bit": not any(_apart(whole, again).values()),
    }


@contextmanager
def _deterministic() -> Iterator[None]:
    """As the stages have it."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.use_deterministic_algorithms(False)


def _apart(one: torch.nn.Module, other: torch.nn.Module) -> dict[str, float]:
    theirs = other.state_dict()
    return {name: float((value - theirs[name]).abs().max()) for name, value in one.state_dict().items()}


def signatures_are_those_of_the_cpu(subject: Subject) -> dict[str, Any]:
    model = network("gaitset", WIDTH).eval()
    expected, ours = (embed(model, subject.store, list(subject.everyone), who) for who in (CPU, subject.processes))
    assert expected is not None
    assert ours is not None
    off = float(np.abs(ours.values - expected.values).max() / np.abs(expected.values).max())
    assert off <= 1e-3, f"off by {off:.2g} of the largest value"
    return {"off_by": off}


def ranks_are_those_of_the_processor(subject: Subject) -> dict[str, Any]:
    """The hits of the device's search at ranks 1 and 5, also where distances are equal."""
    rng = np.random.default_rng(0)
    people, walks, views = (6, 4, 3) if subject.tiny else (50, 10, 11)
    person, walk, view = (axis.ravel() for axis in np.indices((people, walks, views)))
    parts, channels = (3, 16) if subject.tiny else (62, 256)
    values = rng.standard_normal((people, parts, channels), np.float32)[person]
    values += 3 * rng.standard_normal(values.shape, np.float32)
    values[7::7] = values[6:-1:7]  # of another walk or person, and as far from everybody
    gallery, probe = np.flatnonzero(walk < walks - 2), np.flatnonzero(walk >= walks - 2)
    search = Search(probe, gallery, person, view[gallery], view[probe, None] == np.arange(views))
    theirs, ours = ranking.closer_wrong(values, search), device_ranking.closer_wrong(values, search, subject.device)
    rates = {}
    for rank in search.ranks:
        hits = [(closer >= 0) & (closer < rank) for closer in (theirs, ours)]
        assert (hits[0] == hits[1]).all(), f"rank {rank}: {(hits[0] != hits[1]).sum()} of {hits[0].size} differ"
        rates[f"rank{rank}"] = round(100 * float(hits[0][~search.excluded].mean()), 2)
    return rates


def changes_are_those_of_the_processor(subject: Subject) -> dict[str, Any]:
    """Augmentation by the device beside OpenCV's, which knows 32 places between two pixels."""
    augment = [{"name": name, "probability": 0.5} for name in ("rotate", "flip", "erase")]
    drawn = replace(TRAINING.sampling, augment=augment)
    by_processor = SilhouetteBatches(subject.store, subject.everyone, drawn, CPU)[1].frames.float()
    batch = SilhouetteBatches(subject.store, subject.everyone, drawn, Processes(device=torch.device("cuda")))[1]
    by_device = device_augmentation.changed(batch.frames.to(subject.device).float(), batch.steps)[..., 10:54].cpu()
    off = float((by_device - by_processor).abs().max())
    assert off <= 16.5, f"off by {off:.1f} grey levels"  # 1/32 px of 255 along each axis, and rounding
    return {"grey_levels_off": round(off, 2)}


def batches_are_pinned(subject: Subject) -> dict[str, Any]:
    """What travels to a GPU lies in pinned memory, be it made here or by other processes."""
    pinned = []
    for workers in (0, 1):
        batches = SilhouetteBatches(subject.store, subject.everyone, TRAINING.sampling, subject.processes)
        loader = torch.utils.data.DataLoader(
            batches, batch_size=None, sampler=range(1, 3), num_workers=workers, pin_memory=subject.device.type == "cuda"
        )
        pinned += [batch.frames.is_pinned() for batch in loader]
    assert all(pinned) == (subject.device.type == "cuda"), pinned
    return {"pinned": all(pinned)}


def training_waits_for_nothing(subject: Subject) -> dict[str, Any]:
    """Operations at which PyTorch stops until the GPU has done all before, in the iterations after the first three."""
    if subject.device.type != "cuda":
        return {"stops": None}

    class Listening:
        """Listens once training is under way."""

        def step(self, done: int, total: int) -> None: ...

        def row(self, number: int, values: Any) -> None:
            torch.cuda.set_sync_debug_mode("warn" if 3 <= number < iterations - 1 else "default")

    iterations = 10
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            subject.trained(replace(TRAINING, iterations=iterations, mixed_precision=True), watcher=Listening(), workers=2)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    stops = sorted({f"{Path(stop.filename).name}:{stop.lineno}" for stop in caught if "synchroniz" in str(stop.message)})
    assert not stops, f"the GPU is waited for at {', '.join(stops)}"
    return {"stops": 0}


class _Greedy(torch.nn.Module):
    """Asks for more memory than any computer has."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps + torch.empty(2**60, device=maps.device)[0]


def too_little_memory_is_explained(subject: Subject) -> dict[str, Any]:
    """The error says what to lower, and the device can be used again."""
    model = network("gaitset", WIDTH)
    model.add_module("frame1", _Greedy())
    try:
        torch_loop.fit(model, subject.store, subject.everyone, TRAINING, processes=subject.processes)
    except DataError as error:
        message = str(error)
    else:
        raise AssertionError("no error was raised")
    for word in ("out of", "sampling.identities", "sampling.sequences", "sampling.frames", "mixed_precision"):
        assert word in message, f"{word} is not in: {message}"
    subject.trained(replace(TRAINING, iterations=2))
    return {"message": message[:200]}


CHECKS: tuple[Callable[[Subject], dict[str, Any]], ...] = (
    the_first_losses_are_those_of_the_cpu,
    the_loss_falls,
    training_waits_for_nothing,
    signatures_are_those_of_the_cpu,
    ranks_are_those_of_the_processor,
    gradients_are_those_of_float64,
    sixteen_bits_stay_in_the_band,
    an_interrupted_training_goes_on,
    changes_are_those_of_the_processor,
    batches_are_pinned,
    too_little_memory_is_explained,
)


def part(context: Context) -> None:
    """Try all checks; one that fails stops no other."""
    subject = Subject(context.device, context.tiny, context.folder)
    for check in CHECKS:
        context.tried(check.__name__, partial(check, subject))
