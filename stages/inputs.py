"""A model's data as several stages open it: its partition, and the store of its modality."""

from __future__ import annotations

import hashlib
import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from gait.data.partitions import Partition
from gait.data.sequences import SequenceStore
from stages import settings
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


def facts(partition: Partition, store: SequenceStore) -> dict[str, Any]:
    """What data these are: how frames were prepared, and how many train and are tested."""
    whole = json.dumps(partition.to_json(), sort_keys=True).encode()
    parts = {part: getattr(partition, part) for part in ("train", "gallery", "probe")}
    return {
        "dataset": store.dataset,
        "evidence": store.evidence,
        "modality": store.modality,
        "fps": store.fps,
        "preprocess": store.settings,
        "digest": store.digest,
        "partition": hashlib.sha256(whole).hexdigest(),
        "protocol": partition.protocol,
        "distance": partition.distance,
        "sequences": {part: len(positions) for part, positions in parts.items()},
        "people": {part: len({store.sequences[n].identity for n in positions}) for part, positions in parts.items()},
    }


def of_same_data(folder: Path, partition: Partition, store: SequenceStore) -> dict[str, Any]:
    """The settings of a result that is used with these data.

    Raises:
        StageError: it was made with others.
    """
    found = settings.read(folder)
    if found["data"] != facts(partition, store):
        raise StageError(
            f"{folder}: was made with other data than data/partition/{partition.model}.json has now; "
            f"run `dvc repro train@{partition.model}` and what follows from it, or plain `dvc repro`"
        )
    return found


def entry_of(params: Params, model: str) -> Any:
    """A model's entry in params.yaml.

    Raises:
        StageError: there is none.
    """
    if model not in params.model:
        raise StageError(f"unknown model {model}; params.yaml has these under model: {', '.join(params.model)}")
    return params.model[model]
