"""Criteria, which score filters, a file each; the file's name is ``prune.criterion`` in params.yaml.

A criterion's file offers ``scores(weights)``:

- ``weights``: of a convolution, float64 [filters, weights], without the bias; the framework decides the order of a filter's
  weights.

It returns a finite score for each filter, [filters]; the filters with the lowest scores go first. Filters that several
convolutions lose together have the mean of their scores.

A criterion that draws at random offers ``scores(weights, *, seed)``. The seed is a text, another one for each layer and for
each ``seed`` of a model. Filters that go together get one draw: a mean of several draws would spare them under a low
percentile and hit them under a high one.

A file's name may have a dash, as mean-l1.py has: dvc.yaml puts the name from params.yaml into the path of the one criterion
on which `prune` depends, so that an edit of another criterion prunes nothing again.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from compress.errors import CompressionError


def flat(kernels: np.ndarray) -> np.ndarray:
    """The kernels of a convolution, [filters, ...], as float64 [filters, weights]."""
    return kernels.reshape(len(kernels), -1).astype(np.float64)


def _check_name(criterion: str) -> None:
    folder = Path(__file__).parent
    if not (folder / f"{criterion}.py").is_file():
        known = ", ".join(sorted(path.stem for path in folder.glob("[a-z]*.py")))
        raise CompressionError(f"criterion {criterion}: compress/pruning/criteria has no {criterion}.py; there are: {known}")


def layer_scores(layer: str, kernels: Mapping[str, np.ndarray], criterion: str, seed: int) -> np.ndarray:
    """The scores of the filters that units lose together.

    Args:
        layer: the layer's name.
        kernels: of each unit, [filters, ...], by the unit's name.
        criterion: the name of a file in this folder.
        seed: the seed of criteria that draw at random.

    Returns:
        [filters], float64.

    Raises:
        CompressionError: there is no such criterion, or it does not return one finite number a filter.
    """
    _check_name(criterion)
    scores = importlib.import_module(f"compress.pruning.criteria.{criterion}").scores
    weights = [flat(kernel) for kernel in kernels.values()]
    if "seed" in inspect.signature(scores).parameters:
        by_unit = [scores(weights[0], seed=f"{seed}/{layer}")]
    else:
        by_unit = [scores(unit_weights) for unit_weights in weights]
    filters = len(weights[0])
    if any(np.shape(unit_scores) != (filters,) or not np.isfinite(unit_scores).all() for unit_scores in by_unit):
        raise CompressionError(f"criterion {criterion}: must give {filters} finite scores for layer {layer}, one a filter")
    result: np.ndarray = np.mean(by_unit, axis=0)
    return result
