"""The time of a network by the widths of its layers, learnt from measured networks.

A layer's time depends on how many filters it reads and how many it gives, so the time of a network is a constant and, for
each layer, a function of two widths. Kernels work on blocks of filters: 17 may take as long as 32. So each function is a
sum, with coefficients of at least 0, of products of both widths and of each width alone, as they are and rounded up to
blocks of a few sizes. Such a sum never falls as a width grows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress.errors import CompressionError

BLOCKS = (1, 8, 16, 32)  # filters: sizes of vectors and tiles on processors and GPUs
SHAPES = ("both", "reads", "gives")
FOLDS = 8
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


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
        constant: the time in ms that depends on no width.
        weights: the parts of each layer's time in the full network, in ms, [layers, 3 SHAPES, 4 BLOCKS].
    """

    filters: Mapping[str, int]
    layers: Sequence[Layer]
    constant: float
    weights: np.ndarray

    def predict(self, widths: Mapping[str, int]) -> float:
        """The time of a network, in ms."""
        one = {name: np.array([width]) for name, width in widths.items()}
        return self.constant + sum(float(self.table(number, one)[0, 0]) for number in range(len(self.layers)))

    def table(self, number: int, choices: Mapping[str, np.ndarray]) -> np.ndarray:
        """The time in ms of a layer, for all widths to choose from: [widths that it reads, widths that it gives]."""
        layer = self.layers[number]
        reads, gives = (_parts(group, self.filters, choices) for group in (layer.reads, layer.gives))
        both, of_reads, of_gives = self.weights[number]
        ms: np.ndarray = (reads * both) @ gives.T + (reads @ of_reads)[:, None] + (gives @ of_gives)[None]
        return ms

    def as_json(self) -> dict[str, Any]:
        """The content of a JSON file, for :meth:`of_json`."""
        return {
            "filters": dict(self.filters),
            "constant": self.constant,
            "layers": [
                {**vars(layer), "ms": dict(zip(SHAPES, weights.tolist(), strict=True))}
                for layer, weights in zip(self.layers, self.weights, strict=True)
            ],
        }

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> TimeModel:
        """The model from the content that :meth:`as_json` gave."""
        layers = [Layer(row["name"], row["reads"], row["gives"], row["macs"]) for row in content["layers"]]
        weights = [[row["ms"][shape] for shape in SHAPES] for row in content["layers"]]
        return cls(content["filters"], layers, content["constant"], np.array(weights, np.float64))


def _parts(group: str | None, filters: Mapping[str, int], choices: Mapping[str, np.ndarray]) -> np.ndarray:
    """Widths as shares of the full one, both rounded up to each size of blocks: [widths, blocks]."""
    if group is None:
        return np.ones((1, len(BLOCKS)))
    blocks = np.array(BLOCKS)
    return np.ceil(np.asarray(choices[group])[:, None] / blocks) / np.ceil(filters[group] / blocks)


def fit(
    layers: Sequence[Layer], filters: Mapping[str, int], measured: Sequence[MeasuredNetwork]
) -> tuple[TimeModel, np.ndarray]:
    """Learn times from measured networks.

    The fit is least squares of relative errors, with coefficients of at least 0. Where the measurements cannot separate
    layers, time follows multiply-adds: a ridge pulls the coefficients there. Its strength is the one that best predicts
    networks left out of the fit.

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
    rows = np.stack([_features(layers, filters, network.widths) for network in measured])
    folds = np.random.default_rng(0).permutation(len(measured)) % min(FOLDS, len(measured))
    errors_by_ridge = {ridge: np.zeros(len(measured)) for ridge in RIDGES}
    for ridge, errors in errors_by_ridge.items():
        for fold in range(folds.max() + 1):
            left_out = folds == fold
            weights = _weights(rows[~left_out], times[~left_out], layers, ridge)
            errors[left_out] = rows[left_out] @ weights / times[left_out] - 1
    best = min(RIDGES, key=lambda ridge: float(np.square(errors_by_ridge[ridge]).sum()))
    weights = _weights(rows, times, layers, best)
    shaped = weights[1:].reshape(len(layers), len(SHAPES), len(BLOCKS))
    return TimeModel(dict(filters), list(layers), float(weights[0]), shaped), errors_by_ridge[best]


def _features(layers: Sequence[Layer], filters: Mapping[str, int], widths: Mapping[str, int]) -> np.ndarray:
    """The parts of a network's time: 1, and the parts of each layer's, [1 + layers * shapes * blocks]."""
    one = {name: np.array([width]) for name, width in widths.items()}
    parts = [np.ones(1)]
    for layer in layers:
        reads, gives = (_parts(group, filters, one)[0] for group in (layer.reads, layer.gives))
        parts += [reads * gives, reads * (layer.reads is not None), gives * (layer.gives is not None)]
    return np.concatenate(parts)


def _weights(rows: np.ndarray, times: np.ndarray, layers: Sequence[Layer], ridge: float) -> np.ndarray:
    """The coefficients of the parts, [parts], in ms."""
    relative = rows / times[:, None]
    pull = np.sqrt(ridge * len(times)) / times.max() * np.eye(rows.shape[1])
    wanted = np.concatenate([np.ones(len(times)), pull @ _by_multiply_adds(relative, layers)])
    weights: np.ndarray = _not_negative(np.concatenate([relative, pull]), wanted)
    return weights


def _by_multiply_adds(relative: np.ndarray, layers: Sequence[Layer]) -> np.ndarray:
    """The coefficients if time depended on a constant and the multiply-adds alone, [parts]."""
    plain = np.zeros(relative.shape[1])
    macs = [layer.macs for layer in layers]
    plain[1 :: len(SHAPES) * len(BLOCKS)] = np.array(macs) / max(sum(macs), 1)
    constant, factor = _not_negative(np.stack([relative[:, 0], relative @ plain], axis=1), np.ones(len(relative)))
    plain *= factor
    plain[0] = constant
    return plain


def _not_negative(matrix: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The vector x without negative numbers that has the least |matrix @ x - wanted|."""
    from scipy.optimize import nnls

    solution: np.ndarray = nnls(matrix, wanted)[0]
    return solution
