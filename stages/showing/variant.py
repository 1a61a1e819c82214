"""A variant: a model, pruned by a percentile, in a precision, on a device; with its names, folders and addresses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """One combination of the DAG's axes.

    Attributes:
        device: an entry of remote/devices.yaml.
        model: an entry of ``model`` in params.yaml.
        percentile: how much of the model was pruned.
        precision: of the network.
    """

    device: str
    model: str
    percentile: int | float
    precision: str

    @property
    def pruned(self) -> str:
        """The folder of its model and percentile, below what prune, finetune and export make: "gaitset/p30"."""
        return f"{self.model}/p{self.percentile}"

    @property
    def folder(self) -> str:
        """Its folder below what quantize makes, and below a device's folder of what build makes: "gaitset/p30-int8"."""
        return f"{self.pruned}-{self.precision}"

    @property
    def key(self) -> str:
        """The variant in one word, such as "local/gaitset/p30-int8"; the file that benchmark and recognise write of it."""
        return f"{self.device}/{self.folder}"

    @property
    def short_name(self) -> str:
        return f"p{self.percentile} {self.precision}"

    @property
    def name(self) -> str:
        return f"{self.model} {self.short_name}"

    def address(self, stage: str) -> str:
        """The address of a stage of this variant, on DVC's command line: "benchmark@local-gaitset-30-int8"."""
        return f"{stage}@{self.device}-{self.model}-{self.percentile}-{self.precision}"
