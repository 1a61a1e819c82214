"""Criteria score filters. Each criterion is one file, whose name is ``prune.criterion`` in params.yaml.

A criterion's file has a function ``scores(...)``. The names of its arguments say what it needs:

- ``weights``: the weights of a convolution, float64 [filters, weights], without the bias; the framework decides the order of
  a filter's weights.
- ``scales``: the gamma of the batch norm that follows the convolution, float64 [filters]. A layer without one is an error.
- ``effects``: how the training loss depends on each filter for each sample, float64 [samples, filters]. An effect is the
  derivative of a batch's loss with respect to a factor on the filter's output for that sample, where the factor is 1. That
  is the sum of activation x gradient over the positions of the output. The output is the one that pruning sets to zero:
  the output of the whole layer, after batch norm and activation.
- ``outputs``: for each two filters of the layer, the sum of the products of their outputs (the same outputs) over all
  positions and samples, float64 [filters, filters]; over the outputs of all convolutions that lose the filters together.
- ``readers``: for each two filters, the sum of the products of the weights that read them in later layers, float64
  [filters, filters].
- ``seed``: a text, different for each layer and for each ``seed`` of a model, for a criterion that draws at random.

It returns a finite score for each filter, [filters]; the filters with the lowest scores go first. If several convolutions
lose a filter together, its score is the mean of their scores. But a criterion with a seed draws only once, for the first of
them: means of several draws spread less, so a low percentile would spare these filters and a high one would hit them.

A criterion that takes ``effects`` or ``outputs`` makes `prune` depend on the training data and on the code of training;
others do not.

A file's name may have a dash, like mean-l1.py: dvc.yaml puts the name from params.yaml into the path of the one criterion
that `prune` depends on, so an edit of another criterion prunes nothing again.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from compress.errors import CompressionError

MEASURED = ("scales", "effects", "outputs", "readers")  # what a framework's module of measures adds to the weights
OF_DATA = ("effects", "outputs")  # those that training batches are needed for
KNOWN = ("weights", *MEASURED, "seed")
# The values of each quantity in MEASURED that the criterion takes, by quantity, layer and unit.
Measured = Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]


def flat(kernels: np.ndarray) -> np.ndarray:
    """The kernels of a convolution, [filters, ...], as float64 [filters, weights]."""
    return kernels.reshape(len(kernels), -1).astype(np.float64)


def needs(criterion: str) -> tuple[str, ...]:
    """The arguments of a criterion: some of "weights", "seed" and those in :data:`MEASURED`.

    Raises:
        CompressionError: there is no such criterion, or it has another argument.
    """
    return tuple(inspect.signature(_scores_of(criterion)).parameters)


def needs_data(criterion: str) -> bool:
    """Whether a criterion needs training data; raises what :func:`needs` raises."""
    return not set(OF_DATA).isdisjoint(needs(criterion))


def _scores_of(criterion: str) -> Callable[..., Any]:
    folder = Path(__file__).parent
    if not (folder / f"{criterion}.py").is_file():
        known = ", ".join(sorted(path.stem for path in folder.glob("[a-z]*.py")))
        raise CompressionError(f"criterion {criterion}: compress/pruning/criteria has no {criterion}.py; there are: {known}")
    scores: Callable[..., Any] = importlib.import_module(f"compress.pruning.criteria.{criterion}").scores
    if unknown := [name for name in inspect.signature(scores).parameters if name not in KNOWN]:
        raise CompressionError(f"criterion {criterion}: scores takes {unknown[0]}; it may take {', '.join(KNOWN)}")
    return scores


def layer_scores(
    layer: str, kernels: Mapping[str, np.ndarray], criterion: str, seed: int, measured: Measured | None = None
) -> np.ndarray:
    """The scores of the filters of a layer, whose units lose them together.

    Args:
        layer: the layer's name.
        kernels: the kernel of each unit, [filters, ...], by the unit's name.
        criterion: the name of a file in this folder.
        seed: the seed for criteria that draw at random.
        measured: what the criterion takes besides weights and seed.

    Returns:
        [filters], float64.

    Raises:
        CompressionError: there is no such criterion, or it does not return one finite number for each filter.
    """
    scores, arguments = _scores_of(criterion), needs(criterion)
    by_unit = []
    for unit, kernel in list(kernels.items())[: 1 if "seed" in arguments else None]:
        values = {"weights": flat(kernel), "seed": f"{seed}/{layer}"}
        values |= {quantity: by_layer[layer][unit] for quantity, by_layer in (measured or {}).items()}
        by_unit.append(scores(**{name: values[name] for name in arguments}))
    filters = len(next(iter(kernels.values())))
    if any(np.shape(unit_scores) != (filters,) or not np.isfinite(unit_scores).all() for unit_scores in by_unit):
        raise CompressionError(f"criterion {criterion}: must give {filters} finite scores for layer {layer}, one a filter")
    result: np.ndarray = np.mean(by_unit, axis=0)
    return result
