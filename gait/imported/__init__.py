"""Published weights come into our models.

A file's content says what it is. It comes from anywhere: nothing in it is run, and a model takes all of its tensors,
each with its very shape, or none.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gait.errors import DataError

BNNECK_ORDERS = ("by-channel", "by-part")


def load_into(model: Any, path: Path | str, bnneck: str = "by-channel") -> list[str]:
    """Set the weights of one of our models to those of a file; after an error they are as before.

    Args:
        model: built by a file of gait/models, with the widths of the file.
        path: a PyTorch checkpoint of OpenGait or of the original GaitSet, an HDF5 file of Keras 2, or what the training
            stage wrote: its folder, weights.safetensors or model.keras.
        bnneck: how an OpenGait file orders the batch norm over all parts: "by-channel" from version 2.0 (June 2022) on,
            "by-part" before.

    Returns:
        What the user should know: how the file was understood, and which tensors of the classifier start afresh.

    Raises:
        DataError: the file cannot be read safely, belongs to another model or framework, or does not fit.
    """
    from gait.imported import files

    if bnneck not in BNNECK_ORDERS:
        raise DataError(f"bnneck = {bnneck}: must be {' or '.join(BNNECK_ORDERS)}")
    path = files.in_folder(Path(path))
    kind = files.kind(path)
    if hasattr(model, "state_dict"):
        return _load_into_torch(model, path, kind, bnneck)
    if kind == "hdf5":
        from gait.imported import keras_hdf5

        return keras_hdf5.load_into(model, path)
    if kind == "keras":
        from gait.imported import own_keras

        return own_keras.load_into(model, path)
    raise DataError(f"{path} holds weights of a PyTorch model, and {model.name} is a Keras model")


def _load_into_torch(model: Any, path: Path, kind: str, bnneck: str) -> list[str]:
    from gait.imported import checkpoints, gaitset_original, opengait, own_torch
    from gait.imported.links import set_weights

    name = model.architecture.name
    if kind in ("hdf5", "keras"):
        raise DataError(f"{path} holds weights of a Keras model, and {name} is a PyTorch model")
    tensors = own_torch.read(path) if kind == "safetensors" else checkpoints.read(path)
    if own_torch.matches(model, tensors):
        return set_weights(model, tensors, own_torch.reading(model, tensors, path), path)
    for source in (opengait, gaitset_original):
        seems = source.model_of(tensors)
        if seems == name:
            return set_weights(model, tensors, source.reading(model, tensors, bnneck), path)
        if seems:
            raise DataError(f"{path} seems to hold {seems} of {source.NAME}, not {name}")
    raise DataError(f"{path} holds tensors of no model that is known here: {', '.join(list(tensors)[:5])} ...")
