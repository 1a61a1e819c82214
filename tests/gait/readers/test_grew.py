"""GREW's form: people of training and of the test are numbered alike, and nobody knows whose the probes are."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gait.data.prepared.sequences import Sequence
from gait.data.readers import open_dataset
from gait.errors import DataError
from gait.protocols import grew

WALKS = [
    *("train/00001/4XPn5Z28", "train/00001/5TXe8svE", "train/00002/0aaa"),
    *("test/gallery/00001/79XJefi8", "test/gallery/00001/a1", "test/gallery/00002/zz", "test/gallery/00002/b_b"),
    *("test/probe/etaGVnWf", "test/probe/eT1EXpgZ"),
]
UNITS = [
    *("00001/01/79XJefi8", "00001/02/a1", "00001train/00/4XPn5Z28", "00001train/00/5TXe8svE"),
    *("00002/01/b_b", "00002/02/zz", "00002train/00/0aaa", "probe/03/eT1EXpgZ", "probe/03/etaGVnWf"),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    frame = np.zeros((80, 60), np.uint8)
    frame[8:72, 20:40] = 255
    for walk in WALKS:
        folder = tmp_path / "GREW" / walk
        folder.mkdir(parents=True)
        for number in range(1, 4):
            cv2.imwrite(str(folder / f"{number:05d}.png"), frame)
    return tmp_path


def test_walks_have_the_names_of_the_pickles_that_opengait_makes(root: Path) -> None:
    reader = open_dataset("grew", root)
    assert reader.units() == UNITS
    assert reader.identities() == ["00001", "00001train", "00002", "00002train", "probe"]
    assert reader.strays() == []
    for unit in UNITS:
        (clip,) = reader.clips(unit, faults := [])
        assert clip.name == unit.replace("/", "-")
        assert sorted(clip.silhouettes(faults)) == [1, 2, 3]
        assert len(reader.files(unit)) == 3
        assert not faults


def test_what_is_no_person_and_no_frame_is_named(root: Path) -> None:
    (root / "GREW/train/notes").mkdir()
    (root / "GREW/test/probe/etaGVnWf/pose.txt").touch()
    reader = open_dataset("grew", root)
    assert reader.strays() == ["train/notes"]
    assert [path.name for path in reader.unread("probe/03/etaGVnWf")] == ["pose.txt"]
    assert reader.units() == UNITS


def test_first_walks_enrol_second_ones_are_looked_for_and_probes_are_in_no_part(root: Path) -> None:
    sequences = [Sequence(*unit.split("/"), 0, 3) for unit in UNITS]
    chosen = grew.partition(sequences, [], {}, grew.Settings())
    assert {part: [UNITS[place] for place in places] for part, places in chosen.items()} == {
        "train": ["00001train/00/4XPn5Z28", "00001train/00/5TXe8svE", "00002train/00/0aaa"],
        "gallery": ["00001/01/79XJefi8", "00002/01/b_b"],
        "probe": ["00001/02/a1", "00002/02/zz"],
    }
    with pytest.raises(DataError, match="no usable walk 02 of a test person"):
        grew.partition([walk for walk in sequences if walk.condition != "02"], [], {}, grew.Settings())


def test_another_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "00001").mkdir()
    with pytest.raises(DataError, match=r"holds no folder train/00001"):
        open_dataset("grew", tmp_path).identities()
