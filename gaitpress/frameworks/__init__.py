"""One small protocol over PyTorch and Keras, so that a stage reads the same for both.

Training is in :mod:`gaitpress.trainers` and embedding in :mod:`gaitpress.embedders`, so that pruning and export depend on
neither. Work on trained models is in compress: ``compress.pruning.<framework>_surgery`` and ``compress.export``.

Each framework's module has the functions below; ``model`` is a network that maps samples to signatures or, in Keras,
a classifier whose last layer reads the signature.

- ``use_threads(count)``: limit the framework's threads; call it first.
- ``build(name, entry, classes)``: the network of an entry of ``model`` in params.yaml, with fresh weights;
  ``carry_over(model, previous)``: take over the weights that both have from the previous phase of training (PyTorch only).
- ``save(model, directory)``, ``load(directory)``.
- ``network(model)``: the part that is deployed, from samples to signatures;
  ``input_shape(model, entry, dynamic_frames)``: of its input; ``benchmark_shape(model, entry)``: of the timed input;
  ``inferences_per_video_second(entry, store)``.
- ``outputs(model, inputs)``: what the deployed network must give for each input.
- ``parameters(model)``: the number of parameters that the signature needs.
- ``signature_shape(model)``: parts and channels.
- ``layers(model, entry)``: for each layer its name, kind, output shape, params and macs, and ``training_only``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any


def framework(name: str) -> ModuleType:
    """The functions of a framework: "torch" or "keras"."""
    return importlib.import_module(f"gaitpress.frameworks.{name}_models")


def multiply_adds(layers: Sequence[Mapping[str, Any]]) -> int:
    """The multiply-adds of one inference, from the rows of ``layers``."""
    return sum(layer["macs"] for layer in layers if not layer.get("training_only"))
