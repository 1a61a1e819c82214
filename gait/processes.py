"""The processes that train and embed together (torch.distributed): one a GPU, or several on CPUs.

One process alone needs no set-up. ``torchrun`` starts several, or a stage does by ``train.processes``; each runs the same
program and takes its share of every batch. Gradients are averaged over processes. On GPUs, batch norm takes its statistics
from the whole batch; on CPUs, where PyTorch has no such batch norm, each process takes those of its share.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from gait.errors import DataError

MOST_SENDS = 32  # the number of arrays that a process may send before the first process receives them


def _best_device(local_rank: int = 0) -> torch.device:
    return torch.device("cuda", local_rank) if torch.cuda.is_available() else torch.device("cpu")


@dataclass(frozen=True)
class Processes:
    """This process, one of those that work together.

    Attributes:
        rank: its number; the first process, 0, writes results.
        size: the number of processes.
        device: the device on which it computes.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=_best_device)
    _by_cpu: Any = None  # the process group for data in the processor's memory

    @classmethod
    @contextmanager
    def joined(cls) -> Iterator[Self]:
        """This process, joined with the others if ``torchrun`` started several.

        Raises:
            DataError: there are more processes than GPUs on this machine.
        """
        # torchrun alone sets LOCAL_RANK; clusters set WORLD_SIZE by themselves.
        if "LOCAL_RANK" not in os.environ or int(os.environ["WORLD_SIZE"]) == 1:
            yield cls()
            return
        local_rank = int(os.environ["LOCAL_RANK"])
        on_gpu = torch.cuda.is_available()
        if on_gpu and local_rank >= torch.cuda.device_count():
            raise DataError(
                f"{os.environ['LOCAL_WORLD_SIZE']} processes, but {torch.cuda.device_count()} GPU here: each needs its own; "
                "lower train.processes"
            )
        device = _best_device(local_rank)
        if on_gpu:
            torch.cuda.set_device(device)
        dist.init_process_group("nccl" if on_gpu else "gloo")
        try:
            by_cpu = dist.new_group(backend="gloo") if on_gpu else dist.group.WORLD
            yield cls(dist.get_rank(), dist.get_world_size(), device, by_cpu)
        finally:
            dist.destroy_process_group()

    @property
    def first(self) -> bool:
        return self.rank == 0

    def share(self, count: int) -> range:
        """The places of this process's things among ``count``: every ``size``-th.

        Raises:
            DataError: ``count`` is no multiple of the number of processes.
        """
        if count % self.size:
            raise DataError(f"a batch of {count} sequences cannot be shared evenly by {self.size} processes")
        return range(self.rank, count, self.size)

    def wait(self) -> None:
        """Wait until all processes call this."""
        if self.size > 1:
            dist.barrier(group=self._by_cpu)

    def wrapped(self, network: nn.Module) -> nn.Module:
        """The network on this process's device, its gradients averaged over processes in each backward pass."""
        network.to(self.device)
        if self.size == 1:
            return network
        if self.device.type == "cuda":
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return nn.parallel.DistributedDataParallel(network)

    def agree(self, network: nn.Module) -> None:
        """Give the network of each process the first one's statistics of batch norms, as the next batch would do."""
        if self.size > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, 0)

    def whole(self, own: Tensor) -> Tensor:
        """The rows [n, ...] of a batch from all processes' shares, in order; only this process's rows have gradients."""
        if self.size == 1:
            return own
        parts = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(parts, own.detach().contiguous())
        parts[self.rank] = own
        return torch.stack(parts, 1).flatten(0, 1)

    def gathered(self, own: Iterable[np.ndarray], rows: Sequence[int]) -> Iterator[np.ndarray]:
        """Arrays of many things, which the processes compute in turn, in order in the first process.

        The other processes yield nothing and send their arrays to the first. Each of them holds only a few at a time.

        Args:
            own: float32 arrays [rows, ...] of this process's things, every ``size``-th from the rank's on; their shapes
                differ only in the number of rows.
            rows: the number of rows of each thing's array.
        """
        if self.first:
            yield from self._received(iter(own), rows)
            return
        sends: deque[tuple[Any, Tensor]] = deque()
        for array in own:
            if len(sends) == MOST_SENDS:
                sends.popleft()[0].wait()
            sent = torch.from_numpy(np.ascontiguousarray(array))
            sends.append((dist.isend(sent, 0, group=self._by_cpu), sent))
        for sending, _ in sends:
            sending.wait()

    def _received(self, own: Iterator[np.ndarray], rows: Sequence[int]) -> Iterator[np.ndarray]:
        array = np.empty(0, np.float32)
        for place, count in enumerate(rows):
            source = place % self.size
            if source == 0:
                array = next(own)
                yield array
            else:
                received = torch.empty((count, *array.shape[1:]))
                dist.recv(received, source, group=self._by_cpu)
                yield received.numpy()
