"""The time of a network by the widths of its layers, learnt from measured networks.

A layer's time depends on how many filters it reads and how many it gives, so the time of a network is a constant and, for
each layer, a function of two widths. Kernels work on blocks of filters: 17 may take as long as 32. Layers narrower than a
block take other kernels: ONNX Runtime's convolutions with AVX-512 pass over 12 channels one by one, and over 16 at once. So
each function is a sum, with coefficients of at least 0, of products of both widths' parts and of each width's alone. A
width's parts are the width, its blocks, its blocks where at least one is full, and the width where none is. Where a kernel
stays the same, such a sum never falls as a width grows. The size of the blocks is the one that best predicts networks left
out of the fit (docs/pruning.md has what other parts gave).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from compress.errors import CompressionError

BLOCKS = (8, 16, 32)  # filters: sizes of vectors and tiles on processors and GPUs
PARTS = 4  # of a width
COEFFICIENTS = PARTS * PARTS + 2 * PARTS  # of a layer: of products of both widths' parts, then of those of each
FOLDS = 8
RIDGES = (1e-3, 1e-2, 1e-1, 1.0)


@dataclass(frozen=True)
class Layer:
    """A layer whose time depends on widths.

    Attributes:
        name: its name.
        reads: the name of the group of filters that it reads; None if pruning leaves its inputs alone.
        gives: the name of the group of filters that it gives; None if pruning leaves its outputs alone.
        macs: multiply-adds of one inference in the full network.
    """

    name: str
    reads: str | None
    gives: str | None
    macs: int


@dataclass(frozen=True)
class MeasuredNetwork:
    """The width of each group of filters of a network, and the network's time in ms."""

    widths: Mapping[str, int]
    ms: float


@dataclass(frozen=True)
class TimeModel:
    """The time of a network by its widths.

    Attributes:
        filters: the number of filters of each group in the full network.
        layers: the layers whose time depends on widths.
        block: how many filters kernels compute at once.
        constant: the time in ms that depends on no width.
        weights: the coefficients of each layer's parts, in ms, [layers, COEFFICIENTS].
    """

    filters: Mapping[str, int]
    layers: Sequence[Layer]
    block: int
    constant: float
    weights: np.ndarray

    def predict(self, widths: Mapping[str, int]) -> float:
        """The time of a network, in ms."""
        one = {name: np.array([width]) for name, width in widths.items()}
        return self.constant + sum(float(self.table(number, one)[0, 0]) for number in range(len(self.layers)))

    def table(self, number: int, choices: Mapping[str, np.ndarray]) -> np.ndarray:
        """The time in ms of a layer, for all widths to choose from: [widths that it reads, widths that it gives]."""
        layer = self.layers[number]
        reads, gives = (_parts(group, self.filters, choices, self.block) for group in (layer.reads, layer.gives))
        both, of_reads, of_gives = np.split(self.weights[number], [PARTS * PARTS, PARTS * PARTS + PARTS])
        ms: np.ndarray = reads @ both.reshape(PARTS, PARTS) @ gives.T
        return ms + (reads @ of_reads)[:, None] + (gives @ of_gives)[None]

    def as_json(self) -> dict[str, Any]:
        """The content of a JSON file, for :meth:`of_json`."""
        return {
            "filters": dict(self.filters),
            "block": self.block,
            "constant": self.constant,
            "layers": [
                {**vars(layer), "ms": weights.tolist()} for layer, weights in zip(self.layers, self.weights, strict=True)
            ],
        }

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> TimeModel:
        """The model from the content that :meth:`as_json` gave."""
        layers = [Layer(row["name"], row["reads"], row["gives"], row["macs"]) for row in content["layers"]]
        weights = np.array([row["ms"] for row in content["layers"]], np.float64)
        return cls(content["filters"], layers, content["block"], content["constant"], weights)


def _parts(group: str | None, filters: Mapping[str, int], choices: Mapping[str, np.ndarray], block: int) -> np.ndarray:
    """The parts of widths, as shares of the full width, of its blocks or of one block: [widths, PARTS]."""
    if group is None:
        return np.ones((1, PARTS))
    widths = np.asarray(choices[group])
    blocks = np.ceil(widths / block) / np.ceil(filters[group] / block)
    narrow = widths < block
    return np.stack(
        [widths / filters[group], blocks, np.where(narrow, 0, blocks), np.where(narrow, widths / block, 0)], axis=1
    )


def fit(
    layers: Sequence[Layer], filters: Mapping[str, int], measured: Sequence[MeasuredNetwork]
) -> tuple[TimeModel, np.ndarray]:
    """Learn times from measured networks.

    The fit is least squares with coefficients of at least 0. An error counts as a share of the network's time, and more the
    slower the network is, for hardly anybody asks for the fastest ones. Where the measurements cannot separate layers, time
    follows multiply-adds: a ridge pulls the coefficients there. Its strength and the size of the blocks are those that best
    predict networks left out of the fit.

    Args:
        layers: the layers whose time depends on widths.
        filters: the number of filters of each group in the full network.
        measured: networks and their times, the full one among them.

    Returns:
        The model, and [measured]: the relative error of each network's time as a fit without it predicts it.

    Raises:
        CompressionError: too few networks were measured.
    """
    if len(measured) < 2:
        raise CompressionError("one network does not show how time depends on widths: there is nothing to prune")
    times = np.array([network.ms for network in measured])
    rows = {block: np.stack([_features(layers, filters, network.widths, block) for network in measured]) for block in BLOCKS}
    errors = {
        (block, ridge): _errors_left_out(rows[block], times, layers, ridge) for block, ridge in product(BLOCKS, RIDGES)
    }
    block, ridge = min(errors, key=lambda chosen: float(np.sum(_importance(times) * errors[chosen] ** 2)))
    weights = _weights(rows[block], times, layers, ridge)
    shaped = weights[1:].reshape(len(layers), COEFFICIENTS)
    return TimeModel(dict(filters), list(layers), block, float(weights[0]), shaped), errors[block, ridge]


def _errors_left_out(rows: np.ndarray, times: np.ndarray, layers: Sequence[Layer], ridge: float) -> np.ndarray:
    """[measured]: the relative error of each network's time as a fit without its part of the networks predicts it."""
    folds = np.random.default_rng(0).permutation(len(times)) % min(FOLDS, len(times))
    errors = np.zeros(len(times))
    for fold in range(folds.max() + 1):
        left_out = folds == fold
        weights = _weights(rows[~left_out], times[~left_out], layers, ridge)
        errors[left_out] = rows[left_out] @ weights / times[left_out] - 1
    return errors


def _features(layers: Sequence[Layer], filters: Mapping[str, int], widths: Mapping[str, int], block: int) -> np.ndarray:
    """What a network's coefficients are multiplied with: 1, and the parts of each layer, [1 + layers * COEFFICIENTS]."""
    one = {name: np.array([width]) for name, width in widths.items()}
    parts = [np.ones(1)]
    for layer in layers:
        reads, gives = (_parts(group, filters, one, block)[0] for group in (layer.reads, layer.gives))
        parts += [np.outer(reads, gives).ravel(), reads * (layer.reads is not None), gives * (layer.gives is not None)]
    return np.concatenate(parts)


def _importance(times: np.ndarray) -> np.ndarray:
    """How much the square of each network's relative error counts."""
    share: np.ndarray = times / times.max()
    return share


def _weights(rows: np.ndarray, times: np.ndarray, layers: Sequence[Layer], ridge: float) -> np.ndarray:
    """The coefficients, [1 + layers * COEFFICIENTS], in ms."""
    counts = np.sqrt(_importance(times))
    scaled = rows * (counts / times)[:, None]
    pull = np.sqrt(ridge * len(times)) / times.max() * np.eye(rows.shape[1])
    wanted = np.concatenate([counts, pull @ _by_multiply_adds(scaled, counts, layers)])
    weights: np.ndarray = _not_negative(np.concatenate([scaled, pull]), wanted)
    return weights


def _by_multiply_adds(rows: np.ndarray, wanted: np.ndarray, layers: Sequence[Layer]) -> np.ndarray:
    """The coefficients if a multiply-add took as long in each layer, [1 + layers * COEFFICIENTS].

    How its time depends on the parts of both widths is the same in all layers then.
    """
    macs = np.array([layer.macs for layer in layers])
    shares = macs / max(macs.sum(), 1)
    alike = np.zeros((rows.shape[1], 1 + PARTS * PARTS))
    alike[0, 0] = 1
    for part in range(PARTS * PARTS):
        alike[1 + part :: COEFFICIENTS, 1 + part] = shares
    plain: np.ndarray = alike @ _not_negative(rows @ alike, wanted)
    return plain


def _not_negative(matrix: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The vector x without negative numbers that has the least |matrix @ x - wanted|."""
    from scipy.optimize import nnls

    solution: np.ndarray = nnls(matrix, wanted)[0]
    return solution
