"""Signatures of sequences, computed by a PyTorch network."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from gait.data.prepared.inputs import cut
from gait.data.prepared.sequences import Sequence as GaitSequence
from gait.data.prepared.sequences import SequenceStore
from gait.data.samples import owners, samples
from gait.evaluation.signatures import Signatures
from gait.memory import keep_freed_memory, name_shortage
from gait.networks.torch_model import TorchModel
from gait.processes import Processes

AHEAD = 32  # sequences read ahead of a GPU, and signatures fetched from it at once
Positions = Sequence[int]


def embed(
    model: TorchModel,
    store: SequenceStore,
    positions: Positions,
    processes: Processes,
    watched: Callable[[Positions], Iterator[int]] = iter,
) -> Signatures | None:
    """The signature of each whole sequence, computed by all processes together.

    Args:
        model: the network, in evaluation mode; moved to the process's device.
        store: preprocessed silhouettes.
        positions: the sequences' positions in the store.
        processes: the processes that share the work.
        watched: iterates over the first process's positions, and may show progress.

    Returns:
        The signatures in the first process; None in the others, which send theirs to it.

    Raises:
        DataError: there is no sequence, or too little memory.
    """
    shape: list[int | str] = [1, "frames", *model.frame_shape]
    model.to(processes.device)
    own = positions[processes.rank :: processes.size]
    sequences = (store.sequences[position] for position in (watched(own) if processes.first else own))
    compute = _on_cpu if processes.device.type == "cpu" else _on_gpu
    own_signatures = compute(model, store, sequences, shape, processes.device)
    # Any number of frames is one sample, so a sequence has one row.
    rows = processes.gathered(own_signatures, [1] * len(positions))
    if not processes.first:
        assert next(rows, None) is None  # this sends the process's own signatures and yields none
        return None
    return Signatures.collect(owners(store, positions, shape), rows)


def _on_cpu(
    model: TorchModel,
    store: SequenceStore,
    sequences: Iterator[GaitSequence],
    shape: list[int | str],
    device: torch.device,
) -> Iterator[np.ndarray]:
    keep_freed_memory()
    for sequence in sequences:
        (sample,) = samples(store, sequence, shape)
        yield _signature(model, sequence, torch.from_numpy(sample)).numpy()


def _on_gpu(
    model: TorchModel,
    store: SequenceStore,
    sequences: Iterator[GaitSequence],
    shape: list[int | str],
    device: torch.device,
) -> Iterator[np.ndarray]:
    """The same, but reading, sending and computing overlap: the processor waits only when it fetches many signatures."""

    def read(sequence: GaitSequence) -> tuple[GaitSequence, Tensor]:
        frames = torch.from_numpy(np.ascontiguousarray(cut(np.asarray(store.frames(sequence)))))
        return sequence, frames.pin_memory() if device.type == "cuda" else frames

    def read_ahead() -> Iterator[tuple[GaitSequence, Tensor]]:
        with ThreadPoolExecutor(1) as reader:
            pending = deque(reader.submit(read, sequence) for sequence in islice(sequences, AHEAD))
            while pending:
                yield pending.popleft().result()
                pending.extend(reader.submit(read, sequence) for sequence in islice(sequences, 1))

    computed: list[Tensor] = []
    for sequence, frames in read_ahead():
        # The device does the work of gait.data.prepared.inputs.network_input: bytes are a quarter of the floats to send.
        sample = frames.to(device, non_blocking=True).to(torch.float32)[None] / 255
        computed.append(_signature(model, sequence, sample))
        if len(computed) == AHEAD:
            yield from torch.cat(computed).cpu().numpy()[:, None]
            computed.clear()
    if computed:
        yield from torch.cat(computed).cpu().numpy()[:, None]


def _signature(model: TorchModel, sequence: GaitSequence, sample: Tensor) -> Tensor:
    what = f"embedding {sequence.name}, which has {sequence.count} frames"
    remedy = "leave nothing else running there, cut the sequence into shorter ones, or take a smaller model"
    with name_shortage(sample.device, what, remedy), torch.inference_mode():
        return model(sample)
