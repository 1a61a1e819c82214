"""One small protocol over PyTorch and Keras, so that a stage reads the same for both.

What is done to trained models is in compress: ``compress.pruning.<framework>_surgery`` and ``compress.export``.

Each framework's module offers the functions below; ``model`` is a network that maps samples to signatures or, in Keras,
a classifier whose last layer reads the signature.

- ``use_threads(count)``: bound the framework's threads; call it first.
- ``build(name, entry, classes)``: the network of an entry of ``model`` in params.yaml, with fresh weights.
- ``fit(model, store, train, entry)``, ``finetune(model, store, train, entry, finetune)``: train in place; the history.
- ``save(model, directory)``, ``load(directory)``.
- ``embed(model, store, positions)``: the ``Signatures`` of all samples of the sequences.
- ``network(model)``: the part that is deployed, from samples to signatures;
  ``input_shape(entry, dynamic_frames)``: what it takes; ``benchmark_shape(entry)``: of the timed input;
  ``inferences_per_video_second(entry, store)``.
- ``outputs(model, inputs)``: what the deployed network must give for each.
- ``parameters(model)``: how many the signature needs.
"""

from __future__ import annotations

import importlib
from types import ModuleType


def framework(name: str) -> ModuleType:
    """The functions of a framework: "torch" or "keras"."""
    return importlib.import_module(f"stages.frameworks.{name}_models")
