"""The choice of the sequences and frames of a training batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def identity_batch(
    own: Sequence[Sequence[int]], identities_per_batch: int, sequences_per_identity: int, rng: np.random.Generator
) -> list[int]:
    """A P x K batch: K sequences of each of P identities.

    Sequences are drawn without replacement if an identity has at least K, with replacement otherwise. If there are fewer
    than P identities, all are drawn.

    Args:
        own: for each identity, the positions of its sequences.
        identities_per_batch, sequences_per_identity: P and K.
        rng: the source of randomness.

    Returns:
        The positions, those of one identity after the other.
    """
    batch: list[int] = []
    for identity in rng.choice(len(own), min(identities_per_batch, len(own)), replace=False):
        positions = own[identity]
        batch += rng.choice(positions, sequences_per_identity, replace=len(positions) < sequences_per_identity).tolist()
    return batch


def unordered_frames(available: int, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of ``wanted`` frames of a set, in order: without replacement, or with it when there are too few."""
    return np.sort(rng.choice(available, wanted, replace=available < wanted))


def ordered_frames(available: int, wanted: int, skip: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of ``wanted`` frames in order, out of a window of ``wanted + skip`` frames that starts at random.

    A sequence shorter than the window is repeated, as in the published recipes.
    """
    window = wanted + skip
    if available < window:
        positions = np.arange(-(-window // available) * available) % available
        start = int(rng.integers(len(positions) - window + 1))
    else:
        positions = np.arange(available)
        start = int(rng.integers(available - window + 1))
    return positions[start + np.sort(rng.choice(window, wanted, replace=False))]


class BalancedBatches:
    """Batches of positions with equal shares of each walking condition, by their number; there is no last one.

    Each condition's positions come in random order, over and over, so that those of rarer conditions come more often.

    Args:
        kinds: for each position, its walking condition.
        size: the number of positions in a batch.
        seed: the seed of the random orders.
    """

    def __init__(self, kinds: Sequence[str], size: int, seed: int) -> None:
        self._pools = [np.flatnonzero(np.asarray(kinds) == kind) for kind in sorted(set(kinds))]
        self._size = size
        self._seed = seed
        self._orders: dict[int, tuple[int, np.ndarray]] = {}

    def __getitem__(self, number: int) -> np.ndarray:
        """The positions of batch ``number``, which is 0 for the first."""
        # The conditions take turns, over the ends of batches too.
        places = range(number * self._size, (number + 1) * self._size)
        return np.array([self._at(*divmod(place, len(self._pools))) for place in places])

    def _at(self, turn: int, pool: int) -> int:
        """The position that a condition gives in its turn."""
        lap, place = divmod(turn, len(self._pools[pool]))
        if self._orders.get(pool, (-1,))[0] != lap:
            rng = np.random.default_rng((self._seed, pool, lap))
            self._orders[pool] = lap, rng.permutation(self._pools[pool])
        return int(self._orders[pool][1][place])
