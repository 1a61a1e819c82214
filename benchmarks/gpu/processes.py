"""Processes that train together, as far as one GPU can show it: two over gloo, and one over NCCL with gloo beside it."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from benchmarks.gpu.correctness import CPU, TRAINING, made_store
from benchmarks.gpu.parts import Context
from benchmarks.gpu.settings import TRIPLET, cross_entropy, network
from gait.data.prepared.sequences import SequenceStore
from gait.processes import Processes
from gait.training.torch import loop as torch_loop

SGD = replace(TRAINING, iterations=1, optimizer="sgd", lr=0.05, momentum=0.0)
BOTH = [TRIPLET, cross_entropy(1.0, 16)]
# A step in float64 by two processes and by one: only the order of sums differs.
STEP_OFF = 1e-9


def part(context: Context) -> None:
    """The two processes come first: they are forked before this process touches the GPU."""
    store = made_store(context.folder)
    context.tried("two_over_gloo", partial(two_over_gloo, context, store))
    context.tried("one_over_nccl", partial(one_over_nccl, context))


def _step(name: str, store: SequenceStore, processes: Processes) -> dict[str, Tensor]:
    """The weights after a step in float64."""
    model = network(name, 0.125 if name == "gaitset" else 0.0625, 3).double()
    training = replace(SGD, loss=SGD.loss if model.classifier is None else BOTH)
    torch_loop.fit(model, store, range(len(store.sequences)), training, processes=processes)
    return {key: value.cpu() for key, value in model.state_dict().items()}


def _together(rank: int, device: torch.device, names: list[str], folder: Path, store: SequenceStore) -> None:
    if device.type == "cpu":
        torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    for name in names:
        weights = _step(name, store, Processes(rank, 2, device, dist.group.WORLD))
        if rank == 0:
            torch.save(weights, folder / f"{name}.pt")
    dist.destroy_process_group()


def two_over_gloo(context: Context, store: SequenceStore) -> dict[str, Any]:
    """A step of two processes beside that of one: with batch norms on a GPU, whose statistics are of the whole batch."""
    names = ["gaitset", "gaitbase"] if context.device.type == "cuda" else ["gaitset"]
    forking = multiprocessing.get_context("fork")
    started = [
        forking.Process(target=_together, args=(rank, context.device, names, context.folder, store)) for rank in range(2)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(max(1, context.left_s))
    assert all(process.exitcode == 0 for process in started), [process.exitcode for process in started]
    off_by = {}
    for name in names:
        alone = _step(name, store, replace(CPU, device=context.device))
        together = torch.load(context.folder / f"{name}.pt", weights_only=True)
        differences = [value.double() - alone[key].double() for key, value in together.items()]
        off = max(float(difference.abs().max()) for difference in differences)
        assert off <= STEP_OFF, f"{name}: weights are {off:.2g} apart after a step"
        off_by[name] = off
    return off_by


def one_over_nccl(context: Context) -> dict[str, Any]:
    """The set-up of several GPUs with one: gradients averaged by NCCL, batch norms of the whole batch, arrays by gloo."""
    on_gpu = context.device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(context.device)
    backend = "nccl" if on_gpu else "gloo"
    dist.init_process_group(backend, f"file://{context.folder / 'meeting-alone'}", rank=0, world_size=1)
    try:
        beside = dist.new_group(backend="gloo")
        plain = network("gaitbase", 0.0625, 3).to(context.device).train()
        model = network("gaitbase", 0.0625, 3).to(context.device).train()
        wrapped = nn.SyncBatchNorm.convert_sync_batchnorm(model) if on_gpu else model
        averaged = nn.parallel.DistributedDataParallel(wrapped)
        frames = torch.rand(4, 3, *plain.frame_shape, generator=torch.Generator().manual_seed(0)).to(context.device)
        for module in (plain, averaged):
            module(frames).square().sum().backward()
        pairs = zip(plain.parameters(), wrapped.parameters(), strict=True)
        apart = [float((a.grad - b.grad).norm() / a.grad.norm().clamp(min=1e-12)) for a, b in pairs if a.grad is not None]
        assert max(apart) <= 1e-3, f"gradients are {max(apart):.2g} apart"
        own = torch.arange(6.0, device=context.device)
        parts = [torch.empty_like(own)]
        dist.all_gather(parts, own)
        assert torch.equal(parts[0], own)
        on_cpu = torch.arange(6.0)
        dist.broadcast(on_cpu, 0, group=beside)
        dist.barrier(group=beside)
    finally:
        dist.destroy_process_group()
    return {"backend": backend, "gradients_off_by": max(apart)}
