"""Where the stages write their results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Folders:
    """The folders of the stages, as dvc.yaml has them; what stands in each has the names of :mod:`gaitpress.variant`.

    Attributes:
        results: their parent.
    """

    results: Path

    @property
    def train(self) -> Path:
        return self.results / "train"

    @property
    def prune(self) -> Path:
        return self.results / "prune"

    @property
    def finetune(self) -> Path:
        return self.results / "finetune"

    @property
    def export(self) -> Path:
        return self.results / "export"

    @property
    def quantize(self) -> Path:
        return self.results / "quantize"

    @property
    def build(self) -> Path:
        return self.results / "build"

    @property
    def benchmark(self) -> Path:
        return self.results / "benchmark"

    @property
    def recognise(self) -> Path:
        return self.results / "recognise"

    @property
    def serve(self) -> Path:
        """Studies by ``python -m gaitpress serve-study``, which no stage writes."""
        return self.results / "serve"

    @property
    def watch(self) -> Path:
        """Records of live recognition by ``python -m gaitpress watch-study``, which no stage writes."""
        return self.results / "watch"
