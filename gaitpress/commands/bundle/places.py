"""Where the files of a bundle come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gait.data.prepared.sequences import SequenceStore
from gait.errors import DataError
from gaitpress.errors import StageError
from gaitpress.results.folders import Folders
from gaitpress.results.records import Row

Side = TypeVar("Side")


@dataclass(frozen=True)
class Places:
    """The folders of a variant's engine and network, and that of the data, which need not be there."""

    engine: Path
    quantized: Path
    data: Path

    @classmethod
    def of(cls, row: Row, folders: Folders) -> Places:
        """The places that dvc.yaml names."""
        return cls(folders.build / row.key, folders.quantize / row.folder, folders.results.parent / "data")

    def silhouettes(
        self, row: Row, side: str, read: Callable[[Path, Path], tuple[Side, SequenceStore]]
    ) -> tuple[Side, SequenceStore] | None:
        """The sequences, "training" or "test", that the variant was made with, as ``read`` opens them.

        None where they are not there, are other ones by now, or are no silhouettes.
        """
        try:
            opened, store = read(self.data / f"{side}/{row.model}.json", self.data / "preprocessed")
        except (DataError, StageError, OSError):
            return None
        known = store.kind == "silhouette" and store.digest == row.settings["data"]["digest"]
        return (opened, store) if known else None
