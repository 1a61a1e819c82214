"""Which layers must stay in fp32 for an int8 network to be accurate enough."""

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
        network: calibrated.
        way: how it is to be written.
        inputs: network inputs, of training people, on which signatures are compared.
        max_error: the most that int8 signatures may differ from those of fp32, relative to the greatest.
        watched: gives the layers back one by one, and may show how far it has come.

    Returns:
        Names of nodes, those that matter most first; none if int8 throughout is accurate enough.

    Raises:
        CompressionError: not even with all layers in fp32; what remains are activations.
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
    """The layers to leave in fp32, as few as keep ``max_error``.

    Layers are ordered by how small the error is when that layer alone is left in fp32; the first of them stay in fp32. That
    asks for each layer once and for the logarithm of their number in addition; all subsets would be too many, so another
    choice might do with fewer.

    Args:
        layers: names of all that could stay in fp32.
        error: of the signatures when these layers are in fp32 and the others in int8.
        max_error: the most that it may be.
        watched: gives the layers back one by one, and may show how far it has come.

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
