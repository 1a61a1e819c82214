"""Weights of the 2D-CNN, 3D-CNN and (2+1)D-CNN from the HDF5 files of Keras 2 and TensorFlow 1 and 2.

A layer is a group with the attribute ``weight_names``, and the group of all layers, ``model_weights`` in a file of a full
model and the root in a file of weights only, has ``layer_names``. A long attribute is in parts with 0, 1, ... at the end
of their names. Such files come from anywhere: this module runs nothing in them, follows no link to somewhere else, and reads
a tensor only after a check of its shape and layout.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from gait.errors import DataError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
# Layers known by their names. The others that matter are convolutions: their names vary, so their order identifies them.
NAMED = ("dense", "code", "code_1", "probs", "grayCode")
CLASSIFIER = "probs"
# The most layers in a file and weights in a layer: an attribute that claims more is not read.
MOST_NAMES = 1000
LAYOUTS = (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT)

Tensors = dict[tuple[str, str], Any]


def is_hdf5(path: Path) -> bool:
    """Whether a file starts as HDF5 files do."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


def load_into(model: Any, path: Path) -> list[str]:
    """Set the weights of a Keras gait model to those of a file; after an error they are as before.

    Args:
        model: built by gait.models.cnn2d, cnn3d or cnn2plus1d, with the widths of the file.
        path: the HDF5 file's path.

    Returns:
        Notes for the user: why the classifier keeps fresh weights, if it does.

    Raises:
        DataError: the file is damaged, is not what Keras writes, or has other tensors than the model. The classifier
            alone may be missing or tell other identities apart.
    """
    _check_flatten(model)
    if not is_hdf5(path):
        raise DataError(f"{path} is no HDF5 file")
    try:
        with h5py.File(path, "r") as file:
            tensors = _by_role(dict(_layers(file)))
            wanted = _by_role(
                {layer.name: {weight.name: weight for weight in layer.weights} for layer in model.layers if layer.weights}
            )
            notes = _set_classifier_aside(tensors, wanted)
            _compare(tensors, wanted)
            arrays = {key: _read(dataset) for key, dataset in tensors.items()}
    # On damaged files, h5py raises all of these.
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path}: {error}") from None
    for key, array in arrays.items():
        wanted[key].assign(array)
    return notes


def _check_flatten(model: Any) -> None:
    """Fail if the flattened maps have several pixels: with channels first, their order would be another."""
    flatten = next((layer for layer in model.layers if layer.name == "flatten"), None)
    if flatten is None:
        raise DataError(f"{model.name}: HDF5 files of Keras are read for cnn2d, cnn3d and cnn2plus1d alone")
    maps = flatten.input.shape[1:]
    if set(maps[:-1]) != {1}:
        raise DataError(
            f"{model.name}: the flattened maps, {list(maps)}, have more than one pixel, whose order is not known"
        )


def _layers(file: h5py.File) -> Iterator[tuple[str, dict[str, h5py.Dataset]]]:
    """The layers that have weights, in the model's order: name, and datasets by the last part of their names."""
    group = _member(file, "model_weights", h5py.Group) if "model_weights" in file else file
    names = _strings(group, "layer_names")
    if len(set(names)) != len(names):
        raise DataError(f"{group.name} names a layer twice")
    for name in names:
        layer = _member(group, name, h5py.Group)
        datasets: dict[str, h5py.Dataset] = {}
        for weight in _strings(layer, "weight_names"):
            dataset = _member(layer, weight, h5py.Dataset)
            if dataset.shape is None or dataset.dtype.kind != "f":
                raise DataError(f"{dataset.name} does not hold floating-point numbers")
            short = weight.rpartition("/")[2].partition(":")[0]
            datasets[weight if short in datasets else short] = dataset
        if datasets:
            yield name, datasets


def _member(group: h5py.Group, name: str, kind: type) -> Any:
    """The group or dataset at a path below ``group``; links to other places and other files are refused."""
    member: Any = group
    for part in name.split("/"):
        if part in ("", ".") or not isinstance(member, h5py.Group) or part not in member:
            raise DataError(f"{group.name} has no {name}")
        if not isinstance(member.get(part, getlink=True), h5py.HardLink):
            raise DataError(f"{group.name}: {name} is a link to somewhere else")
        member = member[part]
    if not isinstance(member, kind):
        raise DataError(f"{member.name} is not a {kind.__name__.lower()}")
    return member


def _strings(group: h5py.Group, name: str) -> list[str]:
    """The texts of an attribute, or of its parts one after the other."""
    if name in group.attrs:
        return _texts(group, name)
    texts: list[str] = []
    part = 0
    while f"{name}{part}" in group.attrs:
        texts += _texts(group, f"{name}{part}")
        part += 1
    if not part:
        raise DataError(f"{group.name} has no attribute {name}, as the files of Keras do")
    return texts


def _texts(group: h5py.Group, name: str) -> list[str]:
    attribute = group.attrs.get_id(name)
    if len(attribute.shape or ()) != 1 or attribute.shape[0] > MOST_NAMES:
        raise DataError(f"{group.name}: attribute {name} must be a list of at most {MOST_NAMES} names")
    if attribute.shape[0] == 0:
        return []  # an empty list has no type of its own
    if h5py.check_string_dtype(attribute.dtype) is None:
        raise DataError(f"{group.name}: attribute {name} must hold text, not {attribute.dtype}")
    return [text.decode() if isinstance(text, bytes) else text for text in group.attrs[name]]


def _by_role(layers: Mapping[str, Mapping[str, Any]]) -> Tensors:
    """All tensors by the role of their layer, such as "dense" or "convolution 2", and their name in it."""
    tensors: Tensors = {}
    convolutions = 0
    for name, weights in layers.items():
        role = name
        if name not in NAMED and "kernel" in weights and len(weights["kernel"].shape) > 2:
            convolutions += 1
            role = f"convolution {convolutions}"
        tensors |= {(role, tensor): value for tensor, value in weights.items()}
    return tensors


def _set_classifier_aside(tensors: Tensors, wanted: Tensors) -> list[str]:
    """Take the classifier out of both if the file has none or one for other identities, and return notes on that."""
    inputs, classes = wanted[CLASSIFIER, "kernel"].shape
    shapes = {tensor: value.shape for (role, tensor), value in tensors.items() if role == CLASSIFIER}
    others = shapes.get("kernel", ())[-1:]
    if not shapes:
        why = "the file has none"
    elif others != (classes,) and shapes == {"kernel": (inputs, *others), "bias": others}:
        why = f"that of the file tells {others[0]} identities apart, the model's {classes}"
    else:
        return []
    for tensor in ("kernel", "bias"):
        wanted.pop((CLASSIFIER, tensor))
        tensors.pop((CLASSIFIER, tensor), None)
    return [f"the classifier keeps fresh weights: {why}"]


def _compare(tensors: Tensors, wanted: Tensors) -> None:
    """Refuse a file with other tensors than the model; one message lists all differences."""
    differences = {
        "missing": [f"{'/'.join(key)} {list(value.shape)}" for key, value in wanted.items() if key not in tensors],
        "not in the model": [f"{'/'.join(key)} {list(value.shape)}" for key, value in tensors.items() if key not in wanted],
        "of another shape": [
            f"{'/'.join(key)} {list(tensors[key].shape)} instead of {list(value.shape)}"
            for key, value in wanted.items()
            if key in tensors and tensors[key].shape != tuple(value.shape)
        ],
    }
    if any(differences.values()):
        listed = "; ".join(f"{title}: {', '.join(lines)}" for title, lines in differences.items() if lines)
        raise DataError(f"the weights do not fit the model; {listed}")


def _read(dataset: h5py.Dataset) -> np.ndarray:
    """The numbers of a dataset, once its shape is known to be right."""
    stored = dataset.id.get_create_plist()
    # Chunks may be far larger than the dataset and run filters. Keras writes no chunks, and nothing into other files.
    if stored.get_layout() not in LAYOUTS or stored.get_external_count():
        raise DataError(f"{dataset.name} is not stored in one piece, as Keras does")
    if dataset.id.get_storage_size() != dataset.nbytes:
        raise DataError(f"{dataset.name} was never written")
    array = dataset[()]
    if not np.isfinite(array).all():
        raise DataError(f"{dataset.name} holds numbers that are not finite")
    return array
