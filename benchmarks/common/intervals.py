"""How sure a difference over seeds is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats


def paired(differences: Sequence[float] | np.ndarray) -> dict[str, Any]:
    """The mean of paired differences, a value a seed, and its 95 % interval (Student)."""
    values = np.asarray(differences, dtype=float)
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    mean = float(values.mean())
    return {"mean": round(mean, 2), "interval": [round(mean - half, 2), round(mean + half, 2)]}
