"""Weights in closed form with which a layer with fewer inputs gives, as nearly as it can, what it gave with all of them.

He et al., ICCV 2017, section 3.1, reconstruct each layer by least squares on outputs of the dense network. Here earlier
layers are solved first, and a layer is solved on the inputs that they now give it, so that errors do not add up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

ROWS = 20_000  # outputs of a convolution that its solution uses, over all batches
# The damping of a change of weights, as a share of the mean over inputs of the sum of an input's squares: weights that the
# data do not determine stay as they were. The last one leaves all weights as they are.
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, math.inf)


class LeastSquares:
    """One least-squares problem: sums over the rows of batches.

    Weights that fit few rows may be worse for all others. So one half of each batch is solved with several ridges, the
    other half chooses the ridge, and then both are solved with it.

    Args:
        weights: the layer's present weights, [inputs, outputs].
    """

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = weights.astype(np.float64)
        self._halves = [_Sums.zero(weights.shape) for _ in range(2)]

    def add(self, rows: np.ndarray, targets: np.ndarray) -> None:
        """Add what the layer reads, [rows, inputs], and what it should give without its bias, [rows, outputs].

        The rows of a sample are adjacent, so that the halves have different samples.
        """
        residuals = targets - rows @ self.weights.astype(rows.dtype)
        parts = (slice(len(rows) // 2), slice(len(rows) // 2, None))
        self._halves = [
            half + _Sums.of(rows[part], residuals[part], targets[part])
            for half, part in zip(self._halves, parts, strict=True)
        ]

    def solve(self) -> tuple[np.ndarray, float, float]:
        """The weights, [inputs, outputs], and the layer's error before and after, as a share of the L2 norm of its outputs.

        The weights stay as they are if every change of them makes the other half worse.
        """
        fitted, held_out = self._halves
        ridge = min(RIDGES, key=lambda ridge: held_out.error(fitted.change(ridge)))
        both = fitted + held_out
        change = both.change(ridge)
        return self.weights + change, both.error(np.zeros_like(change)), both.error(change)


@dataclass(frozen=True)
class _Sums:
    """Sums over rows: products of inputs, products of inputs and residuals, squares of residuals, squares of targets."""

    products: np.ndarray
    residuals: np.ndarray
    residual_squares: float
    target_squares: float

    @classmethod
    def zero(cls, shape: tuple[int, ...]) -> _Sums:
        return cls(np.zeros((shape[0], shape[0])), np.zeros(shape), 0, 0)

    @classmethod
    def of(cls, rows: np.ndarray, residuals: np.ndarray, targets: np.ndarray) -> _Sums:
        squares = (float(np.square(values, dtype=np.float64).sum()) for values in (residuals, targets))
        return cls(rows.T @ rows, rows.T @ residuals, *squares)

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(*(getattr(self, part.name) + getattr(other, part.name) for part in fields(self)))

    def change(self, ridge: float) -> np.ndarray:
        """The best change of the weights under a ridge, [inputs, outputs]."""
        if math.isinf(ridge):
            return np.zeros_like(self.residuals)
        inputs = len(self.products)
        damping = ridge * max(np.trace(self.products) / inputs, np.finfo(float).tiny)
        solved: np.ndarray = np.linalg.solve(self.products + damping * np.eye(inputs), self.residuals)
        return solved

    def error(self, change: np.ndarray) -> float:
        """The L2 norm of the residuals after a change, as a share of the L2 norm of the targets."""
        squares = self.residual_squares - 2 * (change * self.residuals).sum() + (change * (self.products @ change)).sum()
        return math.sqrt(max(squares, 0) / max(self.target_squares, np.finfo(float).tiny))


@dataclass(frozen=True)
class Convolution:
    """What the outputs of a convolution read, in either framework.

    Attributes:
        kernel, stride, dilation: a size for each axis of the maps except their channels.
        padding: for each of these axes, the number of zeros before and after the maps.
    """

    kernel: Sequence[int]
    stride: Sequence[int]
    padding: Sequence[tuple[int, int]]
    dilation: Sequence[int]

    def places(self, maps: Sequence[int], count: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """At most ``count`` outputs, drawn at random: their positions in the batch and along each axis.

        Args:
            maps: the shape of what the convolution reads, [batch, channels, *sizes].
            count: how many.
            rng: draws them.
        """
        shape = (maps[0], *map(self._outputs, maps[2:], self.kernel, self.stride, self.padding, self.dilation))
        drawn = rng.choice(math.prod(shape), min(count, math.prod(shape)), replace=False)
        return np.unravel_index(np.sort(drawn), shape)

    def rows(self, maps: np.ndarray, places: tuple[np.ndarray, ...]) -> np.ndarray:
        """What the outputs at ``places`` read from maps [batch, channels, *sizes]: [places, channels * kernel]."""
        return self._windows(maps)[places].reshape(len(places[0]), -1)

    @staticmethod
    def _outputs(size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int) -> int:
        """The number of outputs of a convolution along one axis."""
        return (size + sum(padding) - (kernel - 1) * dilation - 1) // stride + 1

    def _windows(self, maps: np.ndarray) -> np.ndarray:
        """A view [batch, *outputs, channels, *kernel]."""
        padded = np.pad(maps, [(0, 0), (0, 0), *self.padding])
        sizes = [(width - 1) * step + 1 for width, step in zip(self.kernel, self.dilation, strict=True)]
        view = sliding_window_view(padded, sizes, axis=tuple(range(2, maps.ndim)))
        strided = (slice(None), slice(None), *(slice(None, None, step) for step in (*self.stride, *self.dilation)))
        return np.moveaxis(view[strided], 1, maps.ndim - 1)


def same_padding(
    sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> list[tuple[int, int]]:
    """The zeros before and after maps of these sizes with which a convolution gives one output for each ``stride``."""
    zeros = [
        max((math.ceil(size / step) - 1) * step + (width - 1) * gap + 1 - size, 0)
        for size, width, step, gap in zip(sizes, kernel, stride, dilation, strict=True)
    ]
    return [(count // 2, count - count // 2) for count in zeros]
