"""The processes that train and embed together (torch.distributed): one a GPU, or several on CPUs.

One process alone needs no set-up. Several are started by ``torchrun``, or by a stage from ``train.processes``; each has the
same program and takes its share of every batch. Gradients are averaged over processes. On GPUs batch norm takes its
statistics from the whole batch; on CPUs, where PyTorch has no such batch norm, each process takes those of its share.
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

UNDER_WAY = 32  # arrays that a process may send ahead of the first one's taking them


def _best_device(local_rank: int = 0) -> torch.device:
    return torch.device("cuda", local_rank) if torch.cuda.is_available() else torch.device("cpu")


@dataclass(frozen=True)
class Processes:
    """This process among all that work together.

    Attributes:
        rank: its number; the first, 0, is the one that writes.
        size: how many there are.
        device: what it computes on.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=_best_device)
    _by_cpu: Any = None  # the group for what is not on the GPU

    @classmethod
    @contextmanager
    def joined(cls) -> Iterator[Self]:
        """This process, joined with the others that ``torchrun`` started, if it did.

        Raises:
            DataError: there are more processes than GPUs on this machine.
        """
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
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
        """Which of ``count`` things are this process's: every ``size``-th.

        Raises:
            DataError: the processes would have different numbers of them.
        """
        if count % self.size:
            raise DataError(f"a batch of {count} sequences cannot be shared evenly by {self.size} processes")
        return range(self.rank, count, self.size)

    def wait(self) -> None:
        """Until all processes are here."""
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

    def whole(self, own: Tensor) -> Tensor:
        """The rows [n, ...] of a batch from all processes' :meth:`share`, in order; gradients flow to the own ones alone."""
        if self.size == 1:
            return own
        parts = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(parts, own.detach().contiguous())
        parts[self.rank] = own
        return torch.stack(parts, 1).flatten(0, 1)

    def gathered(self, own: Iterable[np.ndarray], rows: Sequence[int]) -> Iterator[np.ndarray]:
        """Arrays that the processes make of many things by turns, in order, at the first; others get none and give theirs.

        No process but the first holds more than a few at a time.

        Args:
            own: float32 arrays [rows, ...] for every ``size``-th thing from the rank's, all alike but for the rows.
            rows: of each thing's array.
        """
        if self.first:
            yield from self._taken(iter(own), rows)
            return
        under_way: deque[tuple[Any, Tensor]] = deque()
        for array in own:
            if len(under_way) == UNDER_WAY:
                under_way.popleft()[0].wait()
            sent = torch.from_numpy(np.ascontiguousarray(array))
            under_way.append((dist.isend(sent, 0, group=self._by_cpu), sent))
        for sending, _ in under_way:
            sending.wait()

    def _taken(self, own: Iterator[np.ndarray], rows: Sequence[int]) -> Iterator[np.ndarray]:
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
