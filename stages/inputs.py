"""A model's data as several stages open it: its partition, and the store of its modality."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from gait.data.partitions import Partition
from gait.data.sequences import SequenceStore
from stages.io import StageError
from stages.params import Params


def add_options(parser: ArgumentParser) -> None:
    """The options that say where a model's data is."""
    parser.add_argument("--partition", type=Path, required=True, help="the model's partition (data/partition/<model>.json)")
    parser.add_argument("--preprocessed", type=Path, required=True, help="folder of all modalities (data/preprocessed)")


def open_data(partition: Path, preprocessed: Path) -> tuple[Partition, SequenceStore]:
    """The partition and the store it was made of.

    Raises:
        StageError: the store was preprocessed anew since.
    """
    chosen = Partition.load(partition)
    store = SequenceStore.open(preprocessed / chosen.modality)
    if store.digest != chosen.digest:
        raise StageError(
            f"{preprocessed / chosen.modality} changed since {partition} was made; run `dvc repro partition@{chosen.model}`"
        )
    return chosen, store


def entry_of(params: Params, model: str) -> Any:
    """A model's entry in params.yaml.

    Raises:
        StageError: there is none.
    """
    if model not in params.model:
        raise StageError(f"unknown model {model}; params.yaml has these under model: {', '.join(params.model)}")
    return params.model[model]
