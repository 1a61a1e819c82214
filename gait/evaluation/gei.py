"""The gait-energy image (Han and Bhanu, TPAMI 2006): the field's classical baseline, which needs no training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gait.data.prepared.inputs import network_input
from gait.data.prepared.sequences import SequenceStore
from gait.evaluation.signatures import Signatures


def energy_image(frames: np.ndarray) -> np.ndarray:
    """The mean of aligned silhouettes: uint8 [n, 64, 64] -> [64, 44] in 0..1."""
    return network_input(frames, "silhouette").mean(0)


def signatures(store: SequenceStore, positions: Sequence[int]) -> Signatures:
    """The energy image of each sequence as a signature of one part, [1, 64 * 44], for Euclidean distance."""
    images = (energy_image(store.frames(store.sequences[position])).reshape(1, 1, -1) for position in positions)
    return Signatures.collect(positions, images)
