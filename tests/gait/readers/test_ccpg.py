"""CCPG's form: pictures as distributed or OpenGait's pickles of them, and the list of who trains and is tested."""

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
from gait.protocols import ccpg
from tests.gait.readers import trees

LIST = {"TRAIN_SET": ["000"], "TEST_SET": ["100", "101"]}
CLOTHES = ("U0_D0", "U0_D0_BG", "U0_D3", "U1_D0", "U1_D1", "U2_D2", "U3_D3")
WALKS = [(person, clothes, walk) for person in ("000", "100") for clothes in CLOTHES for walk in ("01_0", "01_1", "10_0")]


def distributed(root: Path) -> Path:
    """Silhouettes beside the colour pictures that they are of, in folders of their own and in the same one."""
    for walk in WALKS:
        for part in ("CCPG_G_SIL", "CCPG_D_MASK_FACE_SHOE"):
            (root / part / Path(*walk)).mkdir(parents=True)
            cv2.imwrite(str(root / part / Path(*walk) / "0000.jpg"), np.full((80, 60, 3), 90, np.uint8))
        for number in range(3):
            cv2.imwrite(str(root / "CCPG_G_SIL" / Path(*walk) / f"{number:04d}.png"), trees.silhouette(30 + number))
    (root / "CCPG.json").write_text(json.dumps(LIST))
    return root


def pickled(root: Path) -> Path:
    aligned = np.stack([np.resize(trees.silhouette(30 + number), (64, 64)) for number in range(3)])
    kinds = {"aligned-sils": aligned, "sils": aligned * 0, "ratios": np.ones(3), "rgbs": np.zeros((3, 3, 8, 8), np.uint8)}
    for walk in WALKS:
        folder = root / "CCPG-end2end-pkl" / Path(*walk)
        folder.mkdir(parents=True)
        for name, array in kinds.items():
            (folder / f"{walk[2]}-{name}.pkl").write_bytes(pickle.dumps(array))
    (root / "CCPG.json").write_text(json.dumps(LIST))
    return root


@pytest.mark.parametrize(("write", "aligned"), [(distributed, False), (pickled, True)])
def test_both_forms_have_the_same_walks_and_cameras_as_views(tmp_path: Path, write: Any, aligned: bool) -> None:
    reader = open_dataset("ccpg", write(tmp_path))
    assert reader.identities() == ["000", "100"]
    assert reader.units() == sorted("/".join(walk) for walk in WALKS)
    assert reader.strays() == []
    assert reader.split() == {"train": ["000"], "test": ["100", "101"]}
    assert reader.names("100/U0_D0_BG/10_0") == ("100", "U0_D0_BG-0", "10")
    clips, faults = trees.all_clips(reader)
    assert faults == []
    assert [clip.name for clip in clips[:4]] == ["000-U0_D0-0-01", "000-U0_D0-1-01", "000-U0_D0-0-10", "000-U0_D0_BG-0-01"]
    for clip in clips:
        shown, faults = trees.read(clip)
        assert (len(shown), clip.aligned, clip.made, clip.video, faults) == (3, aligned, False, None, [])
        assert all(frame.any() for frame in shown.values())


def test_what_is_no_silhouette_is_not_read(tmp_path: Path) -> None:
    reader = open_dataset("ccpg", distributed(tmp_path))
    assert [path.name for path in reader.unread("000/U0_D0/01_0")] == ["0000.jpg"]


def test_another_pickle_may_be_chosen(tmp_path: Path) -> None:
    reader = open_dataset("ccpg", pickled(tmp_path), "*[0-9]-sils.pkl")
    assert [path.name for path in reader.files("000/U0_D0/01_0")] == ["01_0-sils.pkl"]
    with pytest.raises(
        DataError, match=r"pickle = \*sils.pkl fits several of its pickles \(01_0-aligned-sils.pkl, 01_0-sils"
    ):
        open_dataset("ccpg", tmp_path, "*sils.pkl").identities()


def test_a_pickle_alone_in_its_view_is_read(tmp_path: Path) -> None:
    (tmp_path / "000/U0_D0/01_0").mkdir(parents=True)
    (tmp_path / "000/U0_D0/01_0/01_0.pkl").write_bytes(pickle.dumps(np.full((3, 64, 64), 255, np.uint8)))
    (clip,), _ = trees.all_clips(open_dataset("ccpg", tmp_path))
    assert len(trees.read(clip)[0]) == 3


def parted(walks: list[tuple[str, str, str]], split: dict[str, list[str]]) -> dict[str, list[str]]:
    sequences = [Sequence(*walk, 0, 3) for walk in walks]
    chosen = ccpg.partition(sequences, [], split, ccpg.Settings())
    return {part: [sequences[place].name for place in places] for part, places in chosen.items()}


SPLIT = {"train": ["000"], "test": ["100"]}
WORN = [(person, f"{clothes}-0", "01") for person in ("000", "100", "200") for clothes in CLOTHES]


def test_a_walk_may_be_enrolled_and_looked_for() -> None:
    parts = parted(WORN, SPLIT)
    assert parts["train"] == [f"000-{clothes}-0-01" for clothes in CLOTHES]
    assert parts["gallery"] == [f"100-{clothes}-0-01" for clothes in ("U0_D0", "U0_D3", "U1_D1", "U2_D2", "U3_D3")]
    assert parts["probe"] == [f"100-{clothes}-0-01" for clothes in ("U0_D0", "U0_D0_BG", "U1_D0", "U3_D3")]


@pytest.mark.parametrize(
    ("walks", "split", "message"),
    [
        (WORN, {}, "CCPG.json is not in the dataset's folder"),
        (WORN, {"train": ["100"], "test": ["100"]}, "CCPG.json: 100 are to train and to be tested"),
        (WORN, {"train": ["300"], "test": ["100"]}, "no train sequences: none of the TRAIN_SET"),
        ([walk for walk in WORN if "U0_D3" not in walk[1]], SPLIT, "no gallery sequences of UP: .* walk U0_D3"),
        ([walk for walk in WORN if "BG" not in walk[1]], SPLIT, "no probe sequences of BG: .* walk U0_D0_BG"),
        ([(*walk[:2], "01_0") for walk in WORN], SPLIT, "000-U0_D0-0-01_0: its view is not the camera alone"),
    ],
)
def test_what_lacks_is_said(walks: list[tuple[str, str, str]], split: dict[str, list[str]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        parted(walks, split)
