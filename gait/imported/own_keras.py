"""Keras models that this pipeline wrote: model.keras, of which only names and weights are read.

The file is a zip archive of a description, config.json, and the weights, model.weights.h5. There a layer is the group
"layers/<kind>_<number>", numbered within its kind, with the datasets "vars/0" and so on in the order of its weights.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from gait.errors import DataError
from gait.imported.comparison import differences, for_other_identities

GROUP = re.compile(r"(\D.*?)(?:_(\d+))?")


def load_into(model: Any, path: Path) -> list[str]:
    """Set the weights of a Keras gait model to those of a file, by the names of layers; after an error they are as before.

    Args:
        model: the model; its last layer, the classifier, may be missing in the file or tell other identities apart.
        path: the file's path.

    Returns:
        Notes for the user.

    Raises:
        DataError: the file is damaged or has other tensors than the model.
    """
    variables = {f"{layer.name}/{number}": weight for layer in model.layers for number, weight in enumerate(layer.weights)}
    try:
        with zipfile.ZipFile(path) as archive:
            names = _layer_names(json.loads(archive.read("config.json")))
            weights = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(weights, "r") as file:
            datasets = dict(_datasets(file["layers"], names))
            notes = _set_classifier_aside(model.layers[-1].name, datasets, variables)
            differing = differences(model.name, _shapes(variables), _shapes(datasets))
            arrays = {} if differing else {name: dataset[()] for name, dataset in datasets.items()}
    # Damaged archives, descriptions and HDF5 files raise all of these.
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is damaged: {error}") from None
    if differing:
        raise DataError(f"{path} does not fit {differing}")
    infinite = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if infinite:
        raise DataError(f"{path} holds numbers that are not finite in {', '.join(infinite)}")
    for name, array in arrays.items():
        variables[name].assign(array)
    return notes


def _layer_names(config: Mapping[str, Any]) -> dict[tuple[str, int], str]:
    """Names of the layers by kind and number within the kind."""
    counts: Counter[str] = Counter()
    names = {}
    for layer in config["config"]["layers"]:
        kind = layer["class_name"].lower()
        names[kind, counts[kind]] = layer["config"]["name"]
        counts[kind] += 1
    return names


def _datasets(layers: h5py.Group, names: Mapping[tuple[str, int], str]) -> Iterator[tuple[str, h5py.Dataset]]:
    """All weights by layer/number, only of plain floating-point numbers; links to elsewhere are not followed."""
    datasets: list[h5py.Dataset] = []
    layers.visititems(lambda _, member: datasets.append(member) if isinstance(member, h5py.Dataset) else None)
    for dataset in datasets:
        group, _, number = dataset.name.removeprefix("/layers/").partition("/vars/")
        parts = GROUP.fullmatch(group)
        if parts is None or not number.isdecimal() or not _is_plain(dataset):
            raise ValueError(f"{dataset.name} is not what Keras writes")
        yield f"{names[parts[1].replace('_', ''), int(parts[2] or 0)]}/{number}", dataset


def _is_plain(dataset: h5py.Dataset) -> bool:
    in_one_piece = dataset.chunks is None and dataset.external is None and not dataset.is_virtual
    return in_one_piece and dataset.shape is not None and dataset.dtype.kind == "f"


def _set_classifier_aside(classifier: str, datasets: dict[str, Any], variables: dict[str, Any]) -> list[str]:
    """Take the classifier out of both if the file has none or one for other identities, and return notes on that."""
    needed = {name: variable.shape for name, variable in variables.items() if name.startswith(f"{classifier}/")}
    classes = needed[f"{classifier}/0"][-1]
    stored = {name: datasets[name].shape for name in needed if name in datasets}
    notes = {for_other_identities(classifier, needed[name], shape, classes) for name, shape in stored.items()}
    if not stored:
        notes = {"the classifier: not in the file, starts afresh"}
    if None in notes or len(notes) > 1:
        return []
    for name in needed:
        variables.pop(name)
        datasets.pop(name, None)
    return [note for note in notes if note]


def _shapes(tensors: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
