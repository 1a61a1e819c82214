"""A variant: a model, pruned by a percentile, in a precision, on a device; with its names, folders and addresses."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path

from gaitpress import command_line


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


def add_options(parser: ArgumentParser) -> None:
    """The options that say which variant a stage works on, and where its device and its network are."""
    parser.add_argument("--device", required=True, help="an entry of devices.yaml")
    parser.add_argument("--devices", type=Path, required=True, help="devices.yaml")
    parser.add_argument("--facts", type=Path, required=True, help="the device's facts, from the stage probe")
    parser.add_argument("--model", required=True, help="name of the model")
    parser.add_argument("--percentile", type=command_line.number, required=True, help="pruning percentile")
    parser.add_argument("--precision", required=True, help="precision of the network")
    parser.add_argument("--quantized", type=Path, required=True, help="directory with the network, from the stage quantize")
