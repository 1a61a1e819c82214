"""Gait3D's form: frames as distributed or pickles of them, and the list of who trains and is tested."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gait.data.prepared.sequences import Sequence
from gait.data.readers import open_dataset
from gait.errors import DataError
from gait.protocols import gait3d

LISTS: dict[str, Any] = {
    "TRAIN_SET": ["0000", "0003"],
    "TEST_SET": ["0001", "0002"],
    "PROBE_SET": ["0001-camid0_videoid2-seq0", "0002-camid5_videoid1-seq3"],
}
WALKS = [
    *(("0000", "camid1_videoid1", f"seq{number}") for number in range(2)),
    ("0001", "camid0_videoid2", "seq0"),
    ("0001", "camid9_videoid2", "seq1"),
    ("0002", "camid5_videoid1", "seq3"),
    ("0002", "camid5_videoid1", "seq4"),
]


def silhouette(number: int) -> np.ndarray:
    frame = np.zeros((80, 60), np.uint8)
    frame[8:72, 20 + number : 40 + number] = 255
    return frame


def distributed(root: Path) -> Path:
    for walk in WALKS:
        folder = root / "2D_Silhouettes" / Path(*walk)
        folder.mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(str(folder / f"human_crop_f{17270 + number}.png"), silhouette(number))
    (root / "Gait3D.json").write_text(json.dumps(LISTS))
    return root


def pickled(root: Path) -> Path:
    for walk in WALKS:
        folder = root / Path(*walk)
        folder.mkdir(parents=True)
        frames = np.stack([silhouette(number)[:64] for number in range(3)])
        (folder / f"{walk[2]}.pkl").write_bytes(pickle.dumps(frames))
    (root / "Gait3D.json").write_text(json.dumps(LISTS))
    return root


@pytest.mark.parametrize(("write", "aligned"), [(distributed, False), (pickled, True)])
def test_both_forms_have_the_same_walks(tmp_path: Path, write: Any, aligned: bool) -> None:
    reader = open_dataset("gait3d", write(tmp_path))
    assert reader.fps == 25
    assert reader.identities() == ["0000", "0001", "0002"]
    assert reader.units() == ["/".join(walk) for walk in WALKS]
    assert reader.strays() == []
    assert reader.split() == {"train": ["0000", "0003"], "test": ["0001", "0002"], "probe": LISTS["PROBE_SET"]}
    for unit, walk in zip(reader.units(), WALKS, strict=True):
        (clip,) = reader.clips(unit, faults := [])
        assert (clip.identity, clip.condition, clip.view) == walk
        assert len(clip.silhouettes(faults)) == 3
        assert clip.aligned == aligned
        assert not faults


def test_the_partition_follows_the_list(tmp_path: Path) -> None:
    reader = open_dataset("gait3d", distributed(tmp_path))
    sequences = [Sequence(*walk, 0, 3) for walk in WALKS]
    chosen = gait3d.partition(sequences, reader.identities(), reader.split(), gait3d.Settings())
    assert chosen == {"train": [0, 1], "gallery": [3, 5], "probe": [2, 4]}


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ("[1, 2]", "not Gait3D's list"),
        ("{", "not Gait3D's list"),
        (json.dumps({**LISTS, "PROBE_SET": "0001"}), "PROBE_SET must be a list of names"),
        (json.dumps({"TRAIN_SET": [], "TEST_SET": []}), "not Gait3D's list .*PROBE_SET"),
    ],
)
def test_a_wrong_list_is_refused(tmp_path: Path, lists: str, message: str) -> None:
    reader = open_dataset("gait3d", distributed(tmp_path))
    (tmp_path / "Gait3D.json").write_text(lists)
    with pytest.raises(DataError, match=message):
        reader.split()


def test_a_missing_list_and_people_in_both_parts_are_said(tmp_path: Path) -> None:
    reader = open_dataset("gait3d", distributed(tmp_path))
    (tmp_path / "Gait3D.json").unlink()
    assert reader.split() == {}
    sequences = [Sequence(*walk, 0, 3) for walk in WALKS]
    with pytest.raises(DataError, match=r"Gait3D.json is not in the dataset's folder"):
        gait3d.partition(sequences, reader.identities(), {}, gait3d.Settings())
    both = {"train": ["0001"], "test": ["0001"], "probe": []}
    with pytest.raises(DataError, match="0001 are to train and to be tested"):
        gait3d.partition(sequences, reader.identities(), both, gait3d.Settings())
