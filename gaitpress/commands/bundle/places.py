"""Where the files of a bundle come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gaitpress.results.folders import Folders
from gaitpress.results.records import Row


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
