"""A model's data as several stages open it: one side of its partition, and the store of its modality."""

from __future__ import annotations

import hashlib
import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from gait.data.prepared.sequences import SequenceStore
from gait.data.prepared.sets import TestSet, TrainingSet
from gaitpress import settings
from gaitpress.errors import StageError

Side = TrainingSet | TestSet


def add_training(parser: ArgumentParser, required: bool = True) -> None:
    """Add the options that say where a model's training data are."""
    _add(parser, "training", "training set", required)


def add_test(parser: ArgumentParser) -> None:
    """Add the options that say where a model's test data are."""
    _add(parser, "test", "test set", required=True)


def _add(parser: ArgumentParser, side: str, name: str, required: bool) -> None:
    parser.add_argument(f"--{side}", type=Path, required=required, help=f"the model's {name} (data/{side}/<model>.json)")
    parser.add_argument("--preprocessed", type=Path, required=required, help="folder of all modalities (data/preprocessed)")


def open_training(path: Path, preprocessed: Path) -> tuple[TrainingSet, SequenceStore]:
    """A training set and the store it was made of.

    Raises:
        StageError: the store was preprocessed anew since.
    """
    side = TrainingSet.load(path)
    return side, _store(path, side, preprocessed)


def open_test(path: Path, preprocessed: Path) -> tuple[TestSet, SequenceStore]:
    """A test set and the store it was made of; errors as of :func:`open_training`."""
    side = TestSet.load(path)
    return side, _store(path, side, preprocessed)


def _store(path: Path, side: Side, preprocessed: Path) -> SequenceStore:
    store = SequenceStore.open(preprocessed / side.modality)
    if store.digest != side.digest:
        raise StageError(
            f"{preprocessed / side.modality} changed since {path} was made; run `dvc repro partition@{side.model}`"
        )
    return store


def facts(side: TrainingSet, store: SequenceStore) -> dict[str, Any]:
    """The facts of a model's training data: how frames were prepared, and how many sequences and people it has."""
    return {
        "dataset": store.dataset,
        "evidence": store.evidence,
        "modality": store.modality,
        "fps": store.fps,
        "preprocess": store.settings,
        **_counted(side, store),
    }


def test_facts(side: TestSet, store: SequenceStore) -> dict[str, Any]:
    """The facts of a model's test: protocol, distance, and how many sequences and people it has."""
    return {"protocol": side.protocol, "distance": side.distance, **_counted(side, store)}


def _counted(side: Side, store: SequenceStore) -> dict[str, Any]:
    whole = json.dumps(side.to_json(), sort_keys=True).encode()
    return {
        "digest": store.digest,
        "partition": hashlib.sha256(whole).hexdigest(),
        "sequences": {part: len(positions) for part, positions in side.parts().items() if positions},
        "people": {
            part: len({store.sequences[position].identity for position in positions})
            for part, positions in side.parts().items()
            if positions
        },
    }


def of_same_training(folder: Path, side: TrainingSet, store: SequenceStore) -> dict[str, Any]:
    """The settings of a result, after a check that it was made with these training data.

    Raises:
        StageError: it was made with other training data.
    """
    made_with = settings.read(folder)
    if made_with["data"] != facts(side, store):
        raise _other_data(folder, f"data/training/{side.model}.json has now", side.model)
    return made_with


def of_same_store(folder: Path, side: TestSet) -> dict[str, Any]:
    """The settings of a result, after a check that its sequences were preprocessed as those of its test.

    Raises:
        StageError: they were preprocessed otherwise.
    """
    made_with = settings.read(folder)
    if made_with["data"]["digest"] != side.digest:
        raise _other_data(folder, f"data/test/{side.model}.json is of", side.model)
    return made_with


def _other_data(folder: Path, data: str, model: str) -> StageError:
    return StageError(
        f"{folder}: was made with other data than {data}; run `dvc repro train@{model}` and what follows from it, or plain "
        "`dvc repro`"
    )
