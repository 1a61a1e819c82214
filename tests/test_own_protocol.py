"""docs/own-protocol.md: its file and entry are taken from the page and test signatures in a copy of the repository."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from gait.data.prepared.sequences import SequenceStore
from tests.support.guides import Guide, python, stages_run
from tests.support.toy import copy_repository, make_small

GUIDE = Guide("own-protocol")
PEOPLE = ("anna", "ben", "carl", "dora")
WALKS = ("bag-1", "box-1", "coat-1", "normal-1", "normal-2")
# Signatures of the test people: carl's bag looks like dora.
EVALUATE = """
import json
from pathlib import Path
import numpy as np
from gait import protocols
from gait.data.prepared.sequences import SequenceStore
from gait.data.prepared.sets import TestSet
from gait.evaluation.signatures import Signatures

test = TestSet.load(Path("data/test/gaitset.json"))
walks = SequenceStore.open(Path("data/preprocessed/silhouette")).sequences
looks = {at: "dora" if walks[at].name.startswith("carl-bag") else walks[at].identity for at in test.positions}
values = [np.eye(2)[None, None, int(looks[at] == "dora")] for at in test.positions]
print(json.dumps(protocols.evaluate(Signatures.collect(test.positions, values), walks, test)))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the page's file and entry, and a dataset, which stages have parted."""
    where = copy_repository(tmp_path_factory.mktemp("home"))
    GUIDE.write_files(where)
    GUIDE.write_entries(where)
    make_small(where / "params.yaml", dataset="own", **{"threads.dataset": 1, "threads.preprocess": 1})
    frame = np.zeros((80, 60), np.uint8)
    frame[10:70, 20:40] = 255
    for person in PEOPLE:
        for walk in WALKS:
            folder = where / "data/external/own" / person / walk / "side"
            folder.mkdir(parents=True)
            for number in range(6):
                cv2.imwrite(str(folder / f"{number}.png"), frame)
    stages_run(where)
    return where


def test_the_page_adds_one_file_and_one_entry() -> None:
    assert list(GUIDE.files) == ["gait/protocols/by_carrying.py"]
    assert [set(block) for block in GUIDE.entries] == [{"datasets"}]


def test_one_condition_enrols(home: Path) -> None:
    test = json.loads((home / "data/test/gaitset.json").read_text())
    walks = SequenceStore.open(home / "data/preprocessed/silhouette").sequences
    names = {part: {walks[at].name for at in test[part]} for part in ("gallery", "probe")}
    assert test["protocol"] == "by-carrying"
    assert names["gallery"] == {"carl-normal-1-side", "dora-normal-1-side"}
    assert names["probe"] == {f"{who}-{walk}-side" for who in ("carl", "dora") for walk in WALKS if walk != "normal-1"}
    assert set(json.loads((home / "data/protocol/gaitset.json").read_text())) == {
        "gait/protocols/__init__.py",
        "gait/protocols/by_carrying.py",
    }


def test_the_rates_are_by_what_people_carry(home: Path) -> None:
    done = python(home, "-c", EVALUATE)
    assert done.returncode == 0, done.stderr
    rates = json.loads(done.stdout)
    conditions = rates["rank1"]["conditions"]
    assert {name: (of["rate"], of["people"], of["probes"]) for name, of in conditions.items()} == {
        "carrying": (75.0, 2, 4),
        "free": (100.0, 2, 4),
    }
    assert (rates["rank1"]["mean"], rates["probes"]) == (87.5, 8)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("enrolled: normal-1", "enroled: normal-1", "partition.enroled = normal-1: unknown key; did you mean enrolled?"),
        pytest.param(
            "protocol: by-carrying",
            "protocol: by-carying",
            "must be one of 'by-carrying', 'casia-b', 'ccpg', 'gait3d', 'grew', 'oumvlp', 'sustech1k', 'tum-gaid', 'own'",
            marks=pytest.mark.slow,
        ),
        (
            "enrolled: normal-1",
            "enrolled: Normal1",
            "enrolled = ['Normal1']: no walk has such a condition; did you mean normal-1",
        ),
    ],
)
def test_what_does_not_fit_is_reported_before_anything_runs(
    home: Path, tmp_path: Path, before: str, after: str, message: str
) -> None:
    text = (home / "params.yaml").read_text()
    assert before in text
    (tmp_path / "params.yaml").write_text(text.replace(before, after))
    done = python(home, "-m", "stages.dataset", "--params", tmp_path / "params.yaml", "--out", tmp_path / "raw")
    assert done.returncode == 1
    assert message in done.stderr


@pytest.mark.slow
def test_the_stages_list_the_protocols_code(home: Path) -> None:
    assert python(home, "-m", "workflow.code_deps").returncode == 0
    file = home / "gait/protocols/by_carrying.py"
    file.write_text(GUIDE.files["gait/protocols/by_carrying.py"] + "\nimport gait.networks.blocks\n")
    done = python(home, "-m", "workflow.code_deps")
    GUIDE.write_files(home)
    assert "recognise: deps lack gait/networks/blocks.py" in done.stdout
