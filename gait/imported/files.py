"""Which file of weights is meant, and of what kind it is."""

from __future__ import annotations

import zipfile
from pathlib import Path

from gait.errors import DataError
from gait.imported import keras_hdf5

OWN = ("weights.safetensors", "model.keras")
SAVED_MODEL = ("saved_model.pb", "saved_model.pbtxt")
# Of what TensorFlow's own forms hold, only this one names the weights by their layers.
TO_HDF5 = (
    'where it was made, load it and write its weights as HDF5: tf.keras.models.load_model(...).save("weights.h5"), '
    "or model.save_weights of a model whose checkpoint was loaded, with TensorFlow up to 2.15 or tf_keras; name that file"
)
PICKLE = b"\x80"  # how PyTorch's files before version 1.6 start


def in_folder(path: Path) -> Path:
    """The file itself or, in a folder that the training stage wrote, the file of weights.

    Raises:
        DataError: there is none.
    """
    if path.is_dir():
        for name in OWN:
            if (path / name).is_file():
                return path / name
        if any((path / name).is_file() for name in SAVED_MODEL):
            raise DataError(f"{path} is a SavedModel of TensorFlow; {TO_HDF5}")
        if next(path.glob("*.index"), None):
            raise DataError(f"{path} holds a checkpoint of TensorFlow; {TO_HDF5}")
        raise DataError(f"{path} holds neither {' nor '.join(OWN)}; name the file of weights itself")
    if not path.is_file():
        if path.with_name(f"{path.name}.index").is_file():
            raise DataError(f"{path} is a checkpoint of TensorFlow; {TO_HDF5}")
        raise DataError(f"{path} does not exist")
    if path.name in SAVED_MODEL or path.suffix == ".index":
        raise DataError(f"{path} is a part of TensorFlow's own form; {TO_HDF5}")
    return path


def kind(path: Path) -> str:
    """What a file is by its content: "hdf5", "keras", "safetensors" or "torch".

    Raises:
        DataError: it is none of these, or a damaged zip archive.
    """
    if keras_hdf5.is_hdf5(path):
        return "hdf5"
    with path.open("rb") as file:
        start = file.read(9)
    if not start:
        raise DataError(f"{path} is empty")
    if start.startswith(b"PK"):
        return "keras" if "model.weights.h5" in _members(path) else "torch"
    # The length of a header in JSON comes first.
    if start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        return "safetensors"
    if start.startswith(PICKLE):
        return "torch"
    raise DataError(f"{path} is no file of weights: not of PyTorch, HDF5, safetensors or Keras")


def _members(path: Path) -> list[str]:
    """The names in a zip archive that packs nothing tightly, as PyTorch and Keras write it.

    Raises:
        DataError: it is damaged or would unpack to more than it is.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise DataError(f"{path} is damaged: {error}") from None
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise DataError(f"{path} would unpack to more than its own size, which files of weights never do")
    return [member.filename for member in members]
