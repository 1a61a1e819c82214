"""docs/own-layout.md: its file and entry are taken from the page and read a dataset in a copy of the repository."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from gait.data.prepared.sequences import SequenceStore
from tests.support.guides import Guide, python, stages_run
from tests.support.toy import copy_repository, make_small

GUIDE = Guide("own-layout")
LINE = re.compile(r"^ *(OWN = .*)$", re.MULTILINE)
PEOPLE = ("anna", "ben", "carl", "dora")
WALKS = ("normal-1", "normal-2", "bag-1")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the page's file, line and entry, and a dataset of that layout."""
    where = copy_repository(tmp_path_factory.mktemp("home"))
    GUIDE.write_files(where)
    registry = where / "gait/data/readers/__init__.py"
    (line,) = LINE.findall(GUIDE.page)
    text, places = LINE.subn(line, registry.read_text(encoding="utf-8"))
    assert places == 1
    registry.write_text(text, encoding="utf-8")
    GUIDE.write_entries(where)
    make_small(where / "params.yaml", dataset="mine", **{"threads.dataset": 1, "threads.preprocess": 1})
    folder = where / "data/external/mine"
    folder.mkdir(parents=True)
    for person in PEOPLE:
        for walk in WALKS:
            frames = np.zeros((6, 80, 60), np.uint8)
            frames[:, 10:70, 20:40] = 255
            np.savez(folder / f"{person}_{walk}_090.npz", silhouettes=frames)
    (folder / "readme.txt").write_text("notes")
    return where


def test_the_page_adds_one_file_and_one_entry() -> None:
    assert list(GUIDE.files) == ["gait/data/readers/flat.py"]
    assert [set(block) for block in GUIDE.entries] == [{"datasets"}]


def test_the_dataset_is_read_and_parted(home: Path) -> None:
    test = json.loads(stages_run(home).read_text())
    store = SequenceStore.open(home / "data/preprocessed/silhouette")
    assert store.identities == list(PEOPLE)
    assert {sequence.name for sequence in store.sequences} == {f"{who}-{walk}-090" for who in PEOPLE for walk in WALKS}
    assert [store.sequences[at].name for at in test["gallery"]] == ["carl-normal-1-090", "dora-normal-1-090"]
    manifest = json.loads((home / "data/raw/mine/manifest.json").read_text())
    assert any("readme.txt" in note for note in manifest["notes"])


def test_a_file_that_cannot_be_read_is_a_fault(home: Path, tmp_path: Path) -> None:
    (tmp_path / "anna_normal-1_090.npz").write_bytes(b"no archive")
    np.savez(tmp_path / "ben_normal-1_090.npz", silhouettes=np.zeros((4, 4)))
    np.savez(tmp_path / "carl_normal-1_090.npz", others=np.zeros((4, 4)))
    code = (
        "import sys; from pathlib import Path; from gait.data.readers import open_dataset\n"
        "reader, faults = open_dataset('flat', Path(sys.argv[1])), []\n"
        "frames = [clip.silhouettes(faults) for unit in reader.units() for clip in reader.clips(unit, faults)]\n"
        "print(frames, len(faults))"
    )
    done = python(home, "-c", code, tmp_path)
    assert done.stdout == "[{}, {}, {}] 3\n", done.stderr


@pytest.mark.slow
def test_the_stages_list_the_readers_code(home: Path) -> None:
    assert python(home, "-m", "workflow.code_deps").returncode == 0
    (home / "gait/data/readers/flat.py").write_text(GUIDE.files["gait/data/readers/flat.py"] + "\nimport gait.embedding\n")
    done = python(home, "-m", "workflow.code_deps")
    GUIDE.write_files(home)
    assert "preprocess: deps lack gait/embedding.py" in done.stdout
