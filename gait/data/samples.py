"""From a stored sequence to the inputs of a network that together stand for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gait.data.prepared.inputs import network_input
from gait.data.prepared.sequences import Sequence as GaitSequence
from gait.data.prepared.sequences import SequenceStore


def samples(store: SequenceStore, sequence: GaitSequence, shape: Sequence[int | str]) -> list[np.ndarray]:
    """The inputs that together stand for a sequence, each with a batch axis of 1.

    Args:
        store: where the sequence is.
        sequence: any length from one frame.
        shape: the network's input shape with its batch axis, such as [1, "frames", 64, 44] (any number of frames:
            one input), [1, 30, 64, 44] (windows of 30 frames; the last one is filled up from the start of the
            sequence) or [1, 50, 60, 60] (flow: one input a stored sample).
    """
    prepared = network_input(store.frames(sequence), store.kind)
    if store.kind == "flow":
        return [sample[None] for sample in prepared]
    frames = shape[1]
    if isinstance(frames, str):
        return [prepared[None]]
    starts = range(0, len(prepared), frames)
    return [prepared[None, np.arange(start, start + frames) % len(prepared)] for start in starts]


def owners(store: SequenceStore, positions: Sequence[int], shape: Sequence[int | str]) -> list[int]:
    """For every input that :func:`samples` makes of the sequences at ``positions``, in order, the position it is of."""
    frames = shape[1]

    def inputs(count: int) -> int:
        if store.kind == "flow":
            return count
        return 1 if isinstance(frames, str) else -(-count // frames)

    return [position for position in positions for _ in range(inputs(store.sequences[position].count))]
