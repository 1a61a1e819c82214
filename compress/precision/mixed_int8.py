"""The layers that must stay in fp32 so that an int8 network is accurate enough."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from compress.errors import CompressionError
from compress.export import relative_error, run
from compress.precision.quantization import Calibrated, Int8


def floating_layers(
    network: Calibrated,
    way: Int8,
    inputs: Sequence[np.ndarray],
    max_error: float,
    watched: Callable[[Sequence[str]], Iterable[str]] = iter,
) -> list[str]:
    """The layers to leave in fp32: :func:`fewest` by the error of the network's signatures on this computer.

    Args:
        network: the calibrated network.
        way: its form in int8.
        inputs: network inputs, of training people, for which signatures are compared.
        max_error: the greatest error of int8 signatures, relative to the greatest value in fp32.
        watched: iterates over the layers, and may show progress.

    Returns:
        Names of nodes, the most important first; none if int8 throughout is accurate enough.

    Raises:
        CompressionError: activations in int8 alone make the error too great, even with all layers in fp32.
    """
    expected = run(network.source, inputs)
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "int8.onnx"

        def error(floating: Sequence[str]) -> float:
            network.write(target, way, floating)
            return relative_error(run(target, inputs), expected)

        return fewest(network.layers, error, max_error, watched)


def fewest(
    layers: Sequence[str],
    error: Callable[[Sequence[str]], float],
    max_error: float,
    watched: Callable[[Sequence[str]], Iterable[str]] = iter,
) -> list[str]:
    """A small number of layers to leave in fp32 so that the error is at most ``max_error``.

    Layers are sorted by the error with that layer alone in fp32, the smallest error first; the first ones stay in fp32. The
    search measures the error once for each layer, and about log2 of their number times more. It does not try all subsets,
    so another choice might need fewer layers.

    Args:
        layers: names of all layers that could stay in fp32.
        error: returns the signatures' error with these layers in fp32 and the others in int8.
        max_error: the greatest error allowed.
        watched: iterates over the layers, and may show progress.

    Raises:
        CompressionError: the error is greater even with all layers in fp32.
    """
    if error([]) <= max_error:
        return []
    alone = {layer: error([layer]) for layer in watched(layers)}
    ordered = sorted(layers, key=lambda layer: alone[layer])
    if (least := error(ordered)) > max_error:
        raise CompressionError(
            f"int8 signatures differ by {least:.2g} from those of fp32 even with all layers in fp32, "
            f"more than quantize.max_error = {max_error:g}: raise it, or take int8 out of precisions"
        )
    too_few, enough = 0, len(ordered)
    while enough - too_few > 1:
        half = (too_few + enough) // 2
        too_few, enough = (too_few, half) if error(ordered[:half]) <= max_error else (half, enough)
    return ordered[:enough]
