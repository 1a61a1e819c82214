"""Random scores, the control that a criterion must beat."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np


def scores(weights: np.ndarray, *, seed: str) -> np.ndarray:
    """Scores [filters], uniform in 0..1, from the seed and the filters' numbers alone, and so the same on every machine."""
    digests = (blake2b(f"{seed}/{number}".encode(), digest_size=8).digest() for number in range(len(weights)))
    return np.array([int.from_bytes(digest, "big") / 2**64 for digest in digests])
