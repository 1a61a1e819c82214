"""One small protocol over PyTorch and Keras, so that a stage reads the same for both.

What is done to trained models is in compress: ``compress.pruning.<framework>_surgery`` and ``compress.export``.

Each framework's module offers the functions below; ``model`` is a network that maps samples to signatures or, in Keras,
a classifier whose last layer reads the signature.

- ``use_threads(count)``: bound the framework's threads; call it first.
- ``build(name, entry, classes)``: the network of an entry of ``model`` in params.yaml, with fresh weights;
  ``carry_over(model, previous)``: the weights that both have, from the phase of training before (PyTorch only).
- ``save(model, directory)``, ``load(directory)``.
- ``network(model)``: the part that is deployed, from samples to signatures;
  ``input_shape(model, entry, dynamic_frames)``: what it takes; ``benchmark_shape(model, entry)``: of the timed input;
  ``inferences_per_video_second(entry, store)``.
- ``outputs(model, inputs)``: what the deployed network must give for each.
- ``parameters(model)``: how many the signature needs.
- ``signature_shape(model)``: parts and channels.
- ``layers(model, entry)``: for each layer its name, kind, output shape, params and macs, and ``training_only``.

What trains is a module of its own beside it, so that pruning and export do not depend on it:

- ``joined()``: a context, this process among those that train together (a Keras model trains in one).
- ``fit(model, store, train, entry, session)``, ``finetune(model, store, train, entry, finetune, session)``: train in place;
  the history. ``session`` is what :meth:`stages.training.Session.phase` gives.

What embeds is one more:

- ``embed(model, store, positions)``: the ``Signatures`` of all samples of the sequences.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any


class Alone:
    """The only process of a training."""

    first = True

    def wait(self) -> None: ...


def framework(name: str) -> ModuleType:
    """The functions of a framework: "torch" or "keras"."""
    return importlib.import_module(f"stages.frameworks.{name}_models")


def trainer(name: str) -> ModuleType:
    """What trains the models of a framework."""
    framework(name)  # has to come first: it prepares the library's import
    return importlib.import_module(f"stages.frameworks.{name}_training")


def embedder(name: str) -> ModuleType:
    """What makes the signatures of a framework's models."""
    framework(name)
    return importlib.import_module(f"stages.frameworks.{name}_embedding")


def multiply_adds(layers: Sequence[Mapping[str, Any]]) -> int:
    """Multiply-adds of one inference, from what ``layers`` tells."""
    return sum(layer["macs"] for layer in layers if not layer.get("training_only"))
