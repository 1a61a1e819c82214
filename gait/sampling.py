"""Which sequences and frames make a training batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np


def identity_batches(
    identities: Sequence[str], identities_per_batch: int, sequences_per_identity: int, rng: np.random.Generator
) -> Iterator[list[int]]:
    """Endless P x K batches: positions of K sequences of each of P identities.

    Sequences are drawn without replacement where an identity has K, with replacement otherwise; all identities are
    drawn where there are fewer than P.
    """
    positions: dict[str, list[int]] = {}
    for position, identity in enumerate(identities):
        positions.setdefault(identity, []).append(position)
    names = sorted(positions)
    while True:
        chosen = rng.choice(len(names), min(identities_per_batch, len(names)), replace=False)
        batch: list[int] = []
        for name in chosen:
            own = positions[names[name]]
            batch += rng.choice(own, sequences_per_identity, replace=len(own) < sequences_per_identity).tolist()
        yield batch


def unordered_frames(available: int, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of ``wanted`` frames of a set, in order: without replacement, or with it when there are too few."""
    return np.sort(rng.choice(available, wanted, replace=available < wanted))


def ordered_frames(available: int, wanted: int, skip: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of ``wanted`` frames in order, out of a window of ``wanted + skip`` frames that starts at random.

    A sequence shorter than the window is gone through again and again, as in the published recipes.
    """
    window = wanted + skip
    if available < window:
        positions = np.arange(-(-window // available) * available) % available
        start = int(rng.integers(len(positions) - window + 1))
    else:
        positions = np.arange(available)
        start = int(rng.integers(available - window + 1))
    return positions[start + np.sort(rng.choice(window, wanted, replace=False))]


def balanced_batches(kinds: Sequence[str], size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Endless batches of ``size`` positions with equal shares of each walking condition.

    Each condition is gone through in random order, over and over, so that the rarer ones are seen more often.
    """
    pools = [np.flatnonzero(np.asarray(kinds) == kind) for kind in sorted(set(kinds))]
    queues = [np.empty(0, int) for _ in pools]
    turn = 0
    while True:
        batch = np.empty(size, int)
        for place in range(size):
            pool = (turn + place) % len(pools)
            if not len(queues[pool]):
                queues[pool] = rng.permutation(pools[pool])
            batch[place], queues[pool] = queues[pool][0], queues[pool][1:]
        turn = (turn + size) % len(pools)
        yield batch
