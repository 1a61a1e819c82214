"""Whether silhouettes are doubted where background subtraction took something else for the person."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from gait.data import contact_sheet, plausibility
from gait.data.modalities.preparation import DOUBTFUL, convert
from gait.data.prepared.sequences import SequenceStore, StoreWriter
from gait.data.readers import Clip, Faults
from gait.data.readers.foreground import Footage
from gait.data.walkers import Walk, Walkers
from tests.support.distracted import DISTURBED
from tests.support.families import some

SETTINGS = {"kind": "silhouette", "pixels": 64}


@pytest.fixture(scope="module")
def walks() -> list[Walk]:
    made = Walkers(("090", "126"), nm=1, bg=0, cl=0, frames=46, difficulty=0.8, noise=0.0, seed=7)
    return [walk for number in (1, 2) for walk in made.walks(number)]


def doubts(walk: Walk, other: Walk, how: str, own: bool = True) -> Faults:
    film, faults = DISTURBED[how](walk, other), list[str]()
    footage = Footage(lambda _: [cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR) for frame in film])
    clip = Clip("a", "b", "c", footage.silhouettes, made=True, rivals=lambda: footage.rivals)
    rows, _ = convert(clip, SETTINGS, faults, own=own)
    assert len(rows)  # doubtful ones are used all the same
    return faults


@pytest.mark.parametrize("how", some(DISTURBED, "undisturbed", "another person", "a tree"))
def test_what_is_no_walking_person_is_doubted_and_nothing_else(walks: list[Walk], how: str) -> None:
    faults_of_walks = [doubts(walk, walks[place - 2], how) for place, walk in enumerate(walks)]
    doubtful = sum(any(DOUBTFUL in fault for fault in faults) for faults in faults_of_walks)
    assert doubtful == 0 if how == "undisturbed" else doubtful >= 3, faults_of_walks


def test_published_data_and_walkers_are_not_doubted(walks: list[Walk]) -> None:
    assert doubts(walks[0], walks[2], "a tree", own=False) == []


def test_few_frames_empty_ones_and_exact_silhouettes_are_not_doubted(walks: list[Walk]) -> None:
    assert plausibility.doubts({}) == plausibility.doubts(dict.fromkeys(range(9), np.zeros((9, 9), np.uint8))) == {}
    for walk in walks:
        assert plausibility.doubts(dict(enumerate(walk.silhouettes))) == {}


def test_the_page_shows_doubtful_walks_first(tmp_path: Path) -> None:
    store = StoreWriter(tmp_path, (64, 64), "uint8")
    for person in ("ada", "ben", "eve"):
        store.add(person, "n-1", "side", np.full((3, 64, 64), 255, np.uint8))
        store.complete(person, [], [])
    facts = {"dataset": "own", "modality": "silhouette", "settings": SETTINGS, "evidence": "own", "fps": 25, "split": {}}
    store.close(identities=["ada", "ben", "eve"], missing={}, **facts)
    opened = SequenceStore.open(tmp_path)
    assert contact_sheet.write(tmp_path / "look.png", opened, ["eve-n-1-side"]) == 3
    page = cv2.imread(str(tmp_path / "look.png"))
    red = (page[..., 2].astype(int) - page[..., 1] > 100).any(1).nonzero()[0]
    assert red.size
    assert red.max() < contact_sheet.MARGIN + contact_sheet.TITLE
    before = (tmp_path / "look.png").read_bytes()
    contact_sheet.write(tmp_path / "look.png", opened, ["eve-n-1-side"])
    assert (tmp_path / "look.png").read_bytes() == before
