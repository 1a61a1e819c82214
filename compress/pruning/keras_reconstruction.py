"""Reconstruction of pruned Keras models: least squares finds new weights for layers that read pruned channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from compress.pruning.keras_surgery import CONVOLUTIONS, channels
from compress.pruning.least_squares import ROWS, Convolution, LeastSquares, same_padding
from compress.pruning.select import Selection


def reconstruct(
    full: Any, pruned: Any, selections: Mapping[str, Selection], batches: Sequence[np.ndarray], seed: int
) -> dict[str, dict[str, float]]:
    """Solve the layers of a pruned model that read pruned channels, in place, from input to output.

    Args:
        full: the model before pruning.
        pruned: what :func:`compress.pruning.keras_surgery.prune` made of it.
        selections: the filters that stay, by convolution.
        batches: batches of calibration data.
        seed: the seed for the random choice of outputs.

    Returns:
        For each layer that was solved, its error ``before`` and ``after``, as a share of the L2 norm of its outputs.
    """
    errors = {}
    for group in channels(full):
        if len(selections[group.conv].kept) == selections[group.conv].filters:
            continue
        old, new = full.get_layer(group.reader), pruned.get_layer(group.reader)
        weights = _matrix(old)
        if group.reader in selections:
            weights = weights[:, selections[group.reader].kept]
        problem = LeastSquares(_matrix(new))
        inputs = [keras.Model(model.input, layer.input) for model, layer in ((full, old), (pruned, new))]
        rng = np.random.default_rng(seed)
        for batch in batches:
            full_rows, pruned_rows = _rows(
                old, [model(batch, training=False).numpy() for model in inputs], ROWS // len(batches), rng
            )
            problem.add(pruned_rows, full_rows @ weights)
        solved, error_before, error_after = problem.solve()
        new.kernel.assign(_kernel(solved, new))
        errors[group.reader] = {"before": error_before, "after": error_after}
    return errors


def _matrix(layer: Any) -> np.ndarray:
    """A layer's kernel as [inputs, outputs]; the inputs of a convolution go by channel, then by pixel."""
    kernel = layer.kernel.numpy()
    return np.moveaxis(kernel, -2, 0).reshape(-1, kernel.shape[-1])


def _kernel(matrix: np.ndarray, layer: Any) -> np.ndarray:
    """The inverse of :func:`_matrix`."""
    *pixels, inputs, outputs = layer.kernel.shape
    return np.moveaxis(matrix.reshape(inputs, *pixels, outputs), 0, -2)


def _rows(layer: Any, inputs: Sequence[np.ndarray], count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """The values that the same outputs of a layer read from several inputs: [rows, inputs] for each input."""
    if not isinstance(layer, CONVOLUTIONS):
        return [values.reshape(-1, values.shape[-1]) for values in inputs]
    maps = [np.moveaxis(values, -1, 1) for values in inputs]
    sizes, kernel, stride, dilation = maps[0].shape[2:], layer.kernel_size, layer.strides, layer.dilation_rate
    padding = same_padding(sizes, kernel, stride, dilation) if layer.padding == "same" else [(0, 0)] * len(kernel)
    convolution = Convolution(kernel, stride, padding, dilation)
    places = convolution.places(maps[0].shape, count, rng)
    return [convolution.rows(values, places) for values in maps]
