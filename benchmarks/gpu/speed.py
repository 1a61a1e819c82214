"""How fast iterations are, beside the plain network and beside what the card could do.

The bound of an iteration is the longer of two times: that of its multiply-adds (three times an inference's, since each layer
also has two gradients) at the measured rate of large matrix products in the same precision; and that of reading and writing
every layer's maps once in each of these three, at the measured rate of copying.
"""

from __future__ import annotations

import copy
import gc
import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor, nn

from benchmarks.common.measuring import Times, bytes_per_s, made_store, products_per_s, synchronised
from benchmarks.common.plain import Plain
from benchmarks.gpu.correctness import tensor_cores
from benchmarks.gpu.parts import Context, say
from benchmarks.gpu.settings import MODELS, Published, network
from gait import losses
from gait.networks.torch_model import TorchModel, layers
from gait.processes import Processes
from gait.training.torch import loop as torch_loop

WAY_S = 1.5  # seconds of iterations in each way
WARM_UP = 3
TINY_WIDTH = 0.0625
DATA_WORKERS, DATA_ITERATIONS, DATA_FIRST = (0, 4, 8), 60, 15


class Way(NamedTuple):
    """A way to compute an iteration.

    Attributes:
        precision: "fp32", "tf32" (also for matrix products) or "bf16" (what mixed_precision is).
        network: "ours", "plain", "channels-first" (ours, its maps in that order) or "channels-last" (3D maps in that order).
        how: "eager", "graph" (a CUDA graph of the whole iteration), "searched" (cuDNN tries its algorithms first),
            "compiled" (torch.compile), or "compiled-graphs" (its mode reduce-overhead).
    """

    precision: str
    network: str = "ours"
    how: str = "eager"

    def __str__(self) -> str:
        return " ".join([self.precision, *(detail for detail in self[1:] if detail not in ("ours", "eager"))])


EAGER = (
    Way("bf16"), Way("bf16", "plain"), Way("tf32"), Way("tf32", "plain"), Way("fp32"), Way("bf16", "channels-first"),
    Way("bf16", "ours", "graph"), Way("bf16", "ours", "searched"), Way("bf16", "channels-last"),
)  # fmt: skip
COMPILED = (Way("bf16", "ours", "compiled"), Way("bf16", "ours", "compiled-graphs"))


class _Learner(nn.Module):
    """A model with its classifier, as the training loop has it."""

    def __init__(self, model: TorchModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor | None]:
        signatures = self.model(frames)
        return signatures, None if self.model.classifier is None else self.model.classifier(signatures)


class Iteration:
    """An iteration of a published training on a batch that lies on the device already."""

    def __init__(self, name: str, way: Way, context: Context) -> None:
        published = MODELS[name]
        identities, sequences, frames = batch_of(published, context.tiny)
        device = context.device
        self.model = network(name, TINY_WIDTH if context.tiny else 1).to(device).train()
        if way.network == "channels-last":
            self.model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.learner: Any = Plain(self.model) if way.network == "plain" else _Learner(self.model)
        if way.how.startswith("compiled"):
            on_gpu = device.type == "cuda"  # elsewhere only the way through the compiler is tried
            mode = "reduce-overhead" if on_gpu and way.how == "compiled-graphs" else None
            self.learner = torch.compile(self.learner, backend="inductor" if on_gpu else "aot_eager", mode=mode)
        settings = published.training(1, identities, sequences)
        self.optimizer = _optimizer(self.learner, published, way.how == "graph" and device.type == "cuda")
        self.terms = losses.terms(settings.loss)
        shape = (identities * sequences, frames, *self.model.frame_shape)
        self.frames = torch.randint(0, 2, shape, dtype=torch.uint8, device=device) * 255
        self.identities = torch.arange(identities).repeat_interleave(sequences)
        self.on_device = self.identities.to(device)
        self.kind = torch.bfloat16 if way.precision == "bf16" else None

    def __call__(self) -> None:
        with torch.autocast(self.frames.device.type, self.kind, enabled=self.kind is not None):
            signatures, outputs = self.learner(self.frames.to(torch.float32) / 255)
        signatures, outputs = signatures.float(), None if outputs is None else outputs.float()
        # Within a CUDA graph nothing can come from the CPU; who is whose pair was sent before.
        whose = {True: self.identities, False: self.on_device}
        total = sum(term.weight * term.compute(signatures, outputs, whose[term.name == "triplet"])[0] for term in self.terms)
        assert isinstance(total, Tensor)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.optimizer.step()


def batch_of(published: Published, tiny: bool) -> tuple[int, int, int]:
    """Identities, sequences of each, and frames of these."""
    if tiny:
        return 2, 2, 3
    return tuple(published.sampling[name] for name in ("identities", "sequences", "frames"))  # type: ignore[return-value]


def _optimizer(learner: nn.Module, published: Published, capturable: bool) -> torch.optim.Optimizer:
    chosen = {name: value for name, value in published.optimizer.items() if name != "name"}
    if published.optimizer["name"] == "sgd":
        return torch.optim.SGD(learner.parameters(), **chosen)
    return torch.optim.Adam(learner.parameters(), **chosen, capturable=capturable)


@contextmanager
def _set_up_for(way: Way, name: str) -> Iterator[None]:
    """Set for a while what holds for all of PyTorch in this process."""
    module = importlib.import_module(f"gait.models.{name}")
    changed: AbstractContextManager[Any] = nullcontext()
    if way.network == "channels-first":
        changed = mock.patch.object(module, "folded_frames", lambda frames: frames.reshape(-1, 1, *frames.shape[2:]))
    searched, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, way.how == "searched"
    try:
        with tensor_cores(way.precision == "tf32"), changed:
            yield
    finally:
        torch.backends.cudnn.benchmark = searched


def _captured(iteration: Iteration) -> Callable[[], None]:
    """An iteration as one CUDA graph."""
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(WARM_UP):
            iteration()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        iteration()
    return graph.replay


def measured(name: str, way: Way, context: Context, rates: dict[str, float]) -> dict[str, Any]:
    """Iterations a second of a model in one way, the memory it takes, and how near it is to the bound."""
    gc.collect()
    if context.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    with _set_up_for(way, name):
        iteration = Iteration(name, way, context)
        run: Callable[[], None] = iteration
        started = time.perf_counter()
        if way.how == "graph" and context.device.type == "cuda":
            run = _captured(iteration)
        for _ in range(1 if context.tiny else WARM_UP):
            run()
        synchronised(context.device)
        ready = time.perf_counter()
        done, seconds = 0, 0.0
        wanted = 0.0 if context.tiny else min(WAY_S, max(0.0, context.left_s))
        while not done or seconds < wanted:
            for _ in range(1 if context.tiny else 5):
                run()
            synchronised(context.device)
            done, seconds = done + (1 if context.tiny else 5), time.perf_counter() - ready
    peak = torch.cuda.max_memory_allocated() / 2**30 if context.device.type == "cuda" else None
    least = bound(name, context, way.precision, rates)
    return {
        "iterations_per_s": round(done / seconds, 3),
        "limit_per_s": round(1 / max(least.values()), 3),
        "limit_ratio": round(max(least.values()) * done / seconds, 4),
        "limited_by": max(least, key=lambda which: least[which]),
        "peak_gib": None if peak is None else round(peak, 2),
        "ready_after_s": round(ready - started, 2),
    }


def bound(name: str, context: Context, precision: str, rates: dict[str, float]) -> dict[str, float]:
    """Seconds that an iteration takes at least: by its multiply-adds, and by the bytes of its maps."""
    model = network(name, TINY_WIDTH if context.tiny else 1)
    identities, sequences, frames = batch_of(MODELS[name], context.tiny)
    batch = identities * sequences
    macs = batch * sum(row["macs"] for row in layers(model, frames))
    size = 2 if precision == "bf16" else 4
    seconds = {"multiply-adds": 3 * macs / rates[precision]}
    return {**seconds, "bytes": 3 * size * batch * _maps(model, frames) / rates["bytes"]}


def _maps(model: TorchModel, frames: int) -> int:
    """Numbers that the layers with weights read and write for one sequence."""
    shadow = copy.deepcopy(model).to("meta").eval()
    total = 0

    def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        total += inputs[0].numel() + output.numel()

    for module in shadow.modules():
        if next(module.parameters(recurse=False), None) is not None:
            module.register_forward_hook(add)
    signatures = shadow(torch.empty(1, frames, *model.frame_shape, device="meta"))
    if shadow.classifier is not None:
        shadow.classifier(signatures)
    return total


def card_rates(context: Context) -> dict[str, float]:
    """Multiply-adds a second of each precision, and bytes a second."""
    side, size = (256, 1 << 20) if context.tiny else (None, 1 << 30)
    rates = {}
    for precision in ("fp32", "tf32", "bf16"):
        with tensor_cores(precision == "tf32"):
            kind = torch.bfloat16 if precision == "bf16" else torch.float32
            rates[precision] = products_per_s(context.device, kind, side)
    return {**rates, "bytes": bytes_per_s(context.device, size)}


def _measure_ways(name: str, context: Context) -> None:
    rates = card_rates(context)
    context.note("rates", {what: float(f"{rate:.3g}") for what, rate in rates.items()})
    order = "channels-last" if name == "gaitgl" else "channels-first"  # that of 2D maps here, which gaitgl has none of
    ways = [way for way in EAGER if way.network in ("ours", "plain", order)]
    # To show that everything runs, all ways of one model and the networks of the others are enough.
    if context.tiny and name != "gaitset":
        ways = [Way("bf16"), Way("bf16", "plain"), Way("bf16", order)]
    for way in ways:
        context.tried(f"{name}, {way}", partial(measured, name, way, context, rates))


def part_of(name: str) -> Callable[[Context], None]:
    """Measure a model in every way but the compiled ones."""
    return partial(_measure_ways, name)


def compiled(context: Context) -> None:
    """The compiled ways, which need minutes to begin: model by model, GaitSet first."""
    names = ["gaitset"] if context.tiny else list(MODELS)
    rates = card_rates(context)
    for name in names:
        for way in COMPILED:
            context.tried(f"{name}, {way}", partial(measured, name, way, context, rates))


def data(context: Context) -> None:
    """The whole training loop with batches made by 0, 4 and 8 processes: how long it waits for them."""
    models = ("gaitset",) if context.tiny else ("gaitset", "gaitbase")
    people, walks, length = (3, 3, 6) if context.tiny else (16, 24, 80)
    store = made_store(context.folder, people, walks, length)
    for workers in (0, 1) if context.tiny else DATA_WORKERS:
        for name in models:
            context.tried(f"{name}, {workers} workers", partial(_whole_loop, name, workers, store, context))


def _whole_loop(name: str, workers: int, store: Any, context: Context) -> dict[str, Any]:
    published = MODELS[name]
    identities, sequences, frames = batch_of(published, context.tiny)
    iterations, first = (4, 2) if context.tiny else (DATA_ITERATIONS, DATA_FIRST)
    training = published.training(iterations, identities, sequences, lr=1e-4)
    drawn = training.sampling
    if context.tiny:
        training = replace(training, sampling=replace(drawn, frames=frames))
    model = network(name, TINY_WIDTH if context.tiny else 1, len({sequence.identity for sequence in store.sequences}))
    times, waits = Times(), []
    on_device = torch_loop.on_device

    def watched(*arguments: Any) -> Iterator[Any]:
        batches = on_device(*arguments)
        while True:
            asked = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                return
            waits.append(time.perf_counter() - asked)
            yield batch

    with mock.patch.object(torch_loop, "on_device", watched):
        everyone = range(len(store.sequences))
        processes = Processes(device=context.device)
        torch_loop.fit(model, store, everyone, training, workers=workers, processes=processes, watcher=times)
    seconds = times.at[-1] - times.at[first - 1]
    say(f"  {name}: losses {times.losses[0]:.3f} ... {times.losses[-1]:.3f}")
    return {
        "iterations_per_s": round((iterations - first) / seconds, 3),
        "waiting": round(sum(waits[first:]) / seconds, 4),
    }
