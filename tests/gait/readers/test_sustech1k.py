"""SUSTech1K's forms: pictures or pickles of several sensors, of which the camera's silhouettes are read."""

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
from gait.protocols import sustech1k
from tests.gait.readers import trees

LIST = {"TRAIN_SET": ["0000"], "TEST_SET": ["0001"]}
WALKS = [
    (person, condition, view)
    for person in ("0000", "0001")
    for condition in ("00-nm", "01-cl-nt", "01-nm")
    for view in ("000", "090-near")
]
SENSORS = ("LiDAR-PCDs", "LiDAR-PCDs_depths", "LiDAR-PCDs_sils", "Camera-Pose", "Camera-Ratios-HW", "Camera-RGB_raw")
PICKLES = (*SENSORS, "Camera-Sils_aligned", "Camera-Sils_raw")


def pictures(root: Path) -> Path:
    for walk in WALKS:
        for folder in ("PCDs", "RGB_raw", "Sils_aligned", "Sils_raw"):
            (root / "SUSTech1K-Released-2023" / Path(*walk) / folder).mkdir(parents=True)
        for number in range(3):
            place = root / "SUSTech1K-Released-2023" / Path(*walk)
            cv2.imwrite(str(place / f"Sils_aligned/16622820{number}.png"), trees.silhouette(30 + number))
            cv2.imwrite(str(place / f"Sils_raw/16622820{number}.png"), np.zeros((60, 80), np.uint8))
            cv2.imwrite(str(place / f"RGB_raw/16622820{number}.jpg"), np.full((60, 80, 3), 90, np.uint8))
            (place / f"PCDs/16622820{number}.pcd").touch()
    (root / "SUSTech1K.json").write_text(json.dumps(LIST))
    return root


def pickled(root: Path) -> Path:
    aligned = np.stack([np.resize(trees.silhouette(30 + number), (64, 64)) for number in range(3)])
    for walk in WALKS:
        folder = root / "SUSTech1K-Released-pkl" / Path(*walk)
        folder.mkdir(parents=True)
        names = [*(f"{walk[2]}-{kind}" for kind in PICKLES), *(f"sync-{walk[2]}-{kind}" for kind in PICKLES)]
        for number, name in enumerate(names):
            content = aligned if name == f"{walk[2]}-Camera-Sils_aligned" else aligned[:1]
            (folder / f"{number:02d}-{name}.pkl").write_bytes(pickle.dumps(content))
    (root / "SUSTech1K.json").write_text(json.dumps(LIST))
    return root


@pytest.mark.parametrize(("write", "aligned"), [(pictures, False), (pickled, True)])
def test_both_forms_have_the_same_walks(tmp_path: Path, write: Any, aligned: bool) -> None:
    reader = open_dataset("sustech1k", write(tmp_path))
    assert reader.fps == 30
    assert reader.identities() == ["0000", "0001"]
    assert reader.units() == ["/".join(walk) for walk in WALKS]
    assert reader.strays() == []
    assert reader.split() == {"train": ["0000"], "test": ["0001"]}
    for unit, walk in zip(reader.units(), WALKS, strict=True):
        (clip,) = reader.clips(unit, faults := [])
        assert (clip.identity, clip.condition, clip.view) == walk
        shown = clip.silhouettes(faults)
        assert (len(shown), clip.aligned, clip.made, faults) == (3, aligned, False, [])
        assert all(frame.any() for frame in shown.values())


def test_the_pickles_of_the_slower_rate_may_be_chosen(tmp_path: Path) -> None:
    reader = open_dataset("sustech1k", pickled(tmp_path), "*-sync-*-Camera-Sils_aligned.pkl")
    (clip,) = reader.clips("0000/00-nm/090-near", [])
    assert [path.name for path in reader.files("0000/00-nm/090-near")] == ["14-sync-090-near-Camera-Sils_aligned.pkl"]
    assert len(trees.read(clip)[0]) == 1


def test_raw_silhouettes_are_read_where_there_are_no_aligned_ones(tmp_path: Path) -> None:
    trees.write_pictures(tmp_path / "0000/00-nm/000/Sils_raw", [trees.silhouette()] * 2, ["1.png", "2.png"])
    (clip,), _ = trees.all_clips(open_dataset("sustech1k", tmp_path))
    assert len(trees.read(clip)[0]) == 2


def parted(walks: list[tuple[str, str, str]], split: dict[str, list[str]]) -> dict[str, list[str]]:
    sequences = [Sequence(*walk, 0, 3) for walk in walks]
    chosen = sustech1k.partition(sequences, [], split, sustech1k.Settings())
    return {part: [sequences[place].name for place in places] for part, places in chosen.items()}


SPLIT = {"train": ["0000"], "test": ["0001"]}


def test_the_normal_walk_enrols_and_the_numbered_ones_are_looked_for() -> None:
    more = [("0001", condition, "000") for condition in ("04-oc", "05-bg", "00-bg")]
    parts = parted([*WALKS, ("0002", "01-nm", "000"), *more], SPLIT)
    assert len(parts["train"]) == 6
    assert parts["gallery"] == ["0001-00-nm-000", "0001-00-nm-090-near"]
    probes = ["01-cl-nt-000", "01-cl-nt-090-near", "01-nm-000", "01-nm-090-near", "04-oc-000"]
    assert parts["probe"] == [f"0001-{walk}" for walk in probes]


@pytest.mark.parametrize(
    ("walks", "split", "message"),
    [
        (WALKS, {}, "SUSTech1K.json is not in the dataset's folder"),
        (WALKS[6:], SPLIT, "no train sequences: none of the TRAIN_SET"),
        (WALKS[:6] + WALKS[8:], SPLIT, "no gallery sequences: .* usable walk 00-nm"),
        (WALKS[:8], SPLIT, "no probe sequences: .* usable walk 01, 02, 03 or 04"),
    ],
)
def test_what_lacks_is_said(walks: list[tuple[str, str, str]], split: dict[str, list[str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        parted(walks, split)
