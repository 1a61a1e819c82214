"""Pruning Keras models by walking their graph: convolutions whose channels reach other layers along one path."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from compress.errors import CompressionError
from compress.pruning.keras_measures import measured
from compress.pruning.measures import Batch
from compress.pruning.select import PruneSettings, Selection, is_spared, select

CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
READERS = (*CONVOLUTIONS, keras.layers.Dense)
# Layers that keep channels separate.
CHANNELWISE = (
    keras.layers.MaxPooling1D, keras.layers.MaxPooling2D, keras.layers.MaxPooling3D,
    keras.layers.AveragePooling1D, keras.layers.AveragePooling2D, keras.layers.AveragePooling3D,
    keras.layers.GlobalMaxPooling2D, keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling3D, keras.layers.GlobalAveragePooling3D,
    keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.Dropout,
    keras.layers.BatchNormalization, keras.layers.ZeroPadding2D, keras.layers.ZeroPadding3D,
)  # fmt: skip

# The linear ones of CHANNELWISE.
LINEAR = (
    keras.layers.AveragePooling1D, keras.layers.AveragePooling2D, keras.layers.AveragePooling3D,
    keras.layers.GlobalAveragePooling2D, keras.layers.GlobalAveragePooling3D,
    keras.layers.BatchNormalization, keras.layers.Dropout, keras.layers.ZeroPadding2D, keras.layers.ZeroPadding3D,
)  # fmt: skip


@dataclass(frozen=True)
class Channels:
    """One convolution's output channels and where they go.

    Attributes:
        conv: the convolution's name.
        along: names of the layers between the two, which keep channels separate.
        reader: name of the layer that reads them.
        repeats: how many inputs of the reader each channel becomes (pixels, where a flatten lies between).
    """

    conv: str
    along: tuple[str, ...]
    reader: str
    repeats: int


def channels(model: Any) -> list[Channels]:
    """The prunable convolutions of a model, from input to output: all except those that give a code.

    Raises:
        CompressionError: channels branch, merge or pass through a layer that pruning does not support.
    """
    groups = [_follow(layer) for layer in model.layers if isinstance(layer, CONVOLUTIONS)]
    # What the classifier reads is the signature, which keeps its size.
    return [group for group in groups if group.reader != model.layers[-1].name and not _is_code(model, group)]


def _is_code(model: Any, group: Channels) -> bool:
    """Whether a convolution is the linear layer after all others, such as the 3D-CNN's "grayCode".

    Its kernel has one pixel, and neither another convolution nor a layer that is not linear follows it: it is a dense layer
    in all but name, and its width is the width of the code. The convolutions before it are prunable even where their maps
    have one pixel: the study prunes 1,984 filters of the 3D-CNN, those of all six.
    """
    conv, reader = model.get_layer(group.conv), model.get_layer(group.reader)
    passed = [model.get_layer(name) for name in group.along]
    return (
        set(conv.kernel_size) == {1}
        and not isinstance(reader, CONVOLUTIONS)
        and conv.activation is keras.activations.linear
        and all(isinstance(layer, LINEAR) for layer in passed)
    )


def _follow(conv: Any) -> Channels:
    if conv.data_format != "channels_last":
        raise CompressionError(f"layer {conv.name}: only channels-last convolutions can be pruned")
    if conv.groups != 1:
        raise CompressionError(f"layer {conv.name}: a grouped convolution cannot be pruned")
    along: list[str] = []
    repeats, layer = 1, conv
    while True:
        consumers = [node.operation for node in layer._outbound_nodes]
        if len(consumers) != 1:
            raise CompressionError(f"layer {layer.name}: its output goes to {len(consumers)} layers; expected one")
        layer = consumers[0]
        if isinstance(layer, READERS):
            return Channels(conv.name, tuple(along), layer.name, repeats)
        if isinstance(layer, keras.layers.Flatten):
            repeats = int(np.prod(layer.input.shape[1:-1]))
        elif not isinstance(layer, CHANNELWISE):
            kind = type(layer).__name__
            raise CompressionError(
                f"layer {conv.name}: its channels pass through {layer.name}, and pruning does not support a {kind} there"
            )
        else:
            along.append(layer.name)


def prune(model: Any, settings: PruneSettings, batches: Iterable[Batch] = ()) -> tuple[Any, dict[str, Selection]]:
    """A narrower copy of a model with the weights of the filters that stay.

    Args:
        model: a classifier.
        settings: how much to remove, and by which criterion.
        batches: for criteria that need data.

    Returns:
        The pruned model, and the selections by convolution.

    Raises:
        CompressionError: there is nothing to prune, or the model lacks what the criterion needs.
    """
    groups = channels(model)
    kernels = {group.conv: {group.conv: np.moveaxis(model.get_layer(group.conv).kernel.numpy(), -1, 0)} for group in groups}
    scored = [group for group in groups if not is_spared((group.conv,), settings.spare)]
    selections = select(kernels, settings, measured(model, scored, settings.measures, batches))
    return remove(model, selections), selections


def remove(model: Any, selections: Mapping[str, Selection]) -> Any:
    """A narrower copy of a model with the weights of the selected filters; ``selections`` are by convolution."""
    groups = channels(model)
    weights = {layer.name: layer.get_weights() for layer in model.layers}
    for group in groups:
        kept = selections[group.conv].kept
        for name in (group.conv, *group.along):
            # Kernel, bias and batch-norm statistics all have the filters on their last axis.
            weights[name] = [np.take(array, kept, axis=-1) for array in weights[name]]
        kernel, *rest = weights[group.reader]
        # A flattened map has all channels of the first pixel, then all of the next.
        inputs = np.concatenate([pixel * selections[group.conv].filters + kept for pixel in range(group.repeats)])
        weights[group.reader] = [np.take(kernel, inputs, axis=-2), *rest]
    pruned = _rebuilt(model, {name: len(selection.kept) for name, selection in selections.items()})
    for layer in pruned.layers:
        layer.set_weights(weights[layer.name])
    return pruned


def layers(model: Any) -> dict[str, tuple[str | None, str | None]]:
    """The layers whose size depends on pruning, by name: the convolutions whose filters a layer reads and gives.

    None means that pruning leaves the layer's inputs, or its outputs, alone.
    """
    groups = channels(model)
    gives: dict[str, str] = {group.conv: group.conv for group in groups}
    reads: dict[str, str] = {group.reader: group.conv for group in groups}
    return {name: (reads.get(name), gives.get(name)) for name in {**gives, **reads}}


def filters(model: Any) -> dict[str, int]:
    """The number of filters of each convolution that can be pruned."""
    return {group.conv: model.get_layer(group.conv).filters for group in channels(model)}


def _rebuilt(model: Any, filters: Mapping[str, int]) -> Any:
    """The same graph with other filter counts and fresh weights."""
    config = copy.deepcopy(model.get_config())
    for layer in config["layers"]:
        layer.pop("build_config", None)  # it holds the old shapes
        if layer["config"]["name"] in filters:
            layer["config"]["filters"] = filters[layer["config"]["name"]]
    return type(model).from_config(config)


def proof_error(full: Any, pruned: Any, selections: Mapping[str, Selection], shape: tuple[int, ...]) -> float:
    """The greatest difference between the pruned and the masked full model on random input, relative to max |output|.

    A mask sets the outputs of all removed filters to zero, after batch norm and activation. The outputs compared are the
    inputs of the last layer, because a classifier's probabilities would hide differences. They are float64, where rounding
    makes a difference of about 1e-15 and a wrong cut a greater one. The models are compared twice, as they are and with
    leaky ReLUs: in a network of few filters the ReLUs may block all of the input, and then equal outputs would prove
    nothing.

    Args:
        full: the model before pruning.
        pruned: what :func:`prune` made of it.
        selections: the filters that stay, by convolution.
        shape: the shape of the input, samples first; its values are normal with variance 1, as flow in px may be.
    """
    masks: dict[str, np.ndarray] = {}
    for group in channels(full):
        mask = np.zeros(selections[group.conv].filters)
        mask[selections[group.conv].kept] = 1
        masks |= {name: mask for name in (group.conv, *group.along)}

    inputs = np.random.default_rng(0).standard_normal(shape)
    errors = []
    for leaky in (False, True):
        copies = (_in_float64(full, masks, leaky), _in_float64(pruned, {}, leaky))
        expected, actual = (
            keras.Model(copy.input, copy.layers[-1].input)(inputs, training=False).numpy() for copy in copies
        )
        errors.append(np.abs(actual - expected).max() / max(np.abs(expected).max(), 1e-30))
    return float(np.max(errors))


def _in_float64(model: Any, masks: Mapping[str, np.ndarray], leaky: bool) -> Any:
    """A copy that computes in float64; masks [channels] multiply the outputs of the layers that they name."""

    def clone(layer: Any) -> Any:
        config = {**layer.get_config(), "dtype": "float64"}
        if leaky and config.get("activation") == "relu":
            config["activation"] = "leaky_relu"
        if leaky and isinstance(layer, keras.layers.ReLU):
            config["negative_slope"] = 0.2
        return type(layer).from_config(config)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        output = layer(*args, **kwargs)
        return output * masks[layer.name] if layer.name in masks else output

    copied = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in model.layers:
        if layer.weights:  # an input layer has none, and its name may change
            copied.get_layer(layer.name).set_weights(layer.get_weights())
    return copied
