"""The engine of a variant as the pipeline built it, for the studies that no stage makes."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from gaitpress import engine
from gaitpress.errors import StageError
from gaitpress.results.folders import Folders
from gaitpress.results.records import Row

FACTS, DEVICES = Path("remote/facts"), Path("remote/devices.yaml")


def engine_of(row: Row, folders: Folders) -> engine.Engine:
    """The engine of a variant.

    Raises:
        StageError: it was not built.
    """
    folder = folders.build / row.key
    if not (folder / "build.json").exists():
        raise StageError(f"{folder}: there is no engine; run `dvc repro {row.address('build')}`")
    places = {"engine": folder, "quantized": folders.quantize / row.folder, "devices": DEVICES}
    named = {"device": row.device, "model": row.model, "percentile": row.percentile, "precision": row.precision}
    return engine.named(Namespace(**places, **named, facts=FACTS / f"{row.device}.json"))
