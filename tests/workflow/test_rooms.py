"""Which stages an edit of one file makes out of date: by DVC, in a copy, as docs/architecture.md says."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import chdir
from pathlib import Path

import pytest

from remote import runtimes
from tests.support.toy import ROOT, run
from tests.support.toy_pipeline import Toy
from workflow.dvc.private import Repo

PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([^`]+\.\w+)` \| (.+) \|$", PAGE, flags=re.M))
NAMING = ("partition", "runtime")  # the stages that name code by its content
pytestmark = pytest.mark.slow
ITEMS = ("local", "board", "gaitset", "cnn2d")


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A repository with the real lists of dependencies, a board beside this computer, in which everything has run."""
    toy = Toy.make(tmp_path_factory.mktemp("rooms"), percentiles=[30], all_code=True)
    run(["python", "-m", "remote", "add", "board", "ssh://somebody@127.0.0.1", "--runtime", "tensorrt"], toy.where)
    toy.edit(r"devices: \[.*?\]", "devices: [local, board]")
    toy.dvc("repro")
    assert out_of_date(toy) == set()
    return toy


def out_of_date(toy: Toy) -> set[str]:
    """The addresses of all stages that DVC would run."""
    with chdir(toy.where), Repo() as repo:
        return {address.rpartition(":")[2] for address in repo.status()}


def in_words(everyones: Iterable[str], some_items: Iterable[str]) -> str:
    """Addresses as the page's table has them: stages of all items, then those of single models and devices."""
    groups: dict[str, set[str]] = {}
    for address in some_items:
        stage, _, item = address.partition("@")
        groups.setdefault(item.partition("-")[0], set()).add(stage)
    whole = sorted({address.partition("@")[0] for address in everyones})
    parts = [f"of {item}: {', '.join(sorted(groups[item]))}" for item in ITEMS if item in groups]
    return "; ".join([", ".join(whole)] * bool(whole) + parts) or "nothing"


def test_the_page_has_a_row_of_every_room() -> None:
    rooms = {name.rpartition("/")[0] for name in ROWS}
    assert {"gait/evaluation", "gait/training/keras", "gait/training/torch", "gait/losses", "gait/models"} <= rooms
    assert {"compress", "compress/pruning", "remote", "remote/jetson", "remote/python", "remote/runtimes"} <= rooms
    assert {f"remote/runtimes/{name}" for name in runtimes.names()} <= rooms
    assert {"stages", "report", "gaitpress/results", "tracking"} <= rooms


@pytest.mark.parametrize("name", ROWS)
def test_an_edit_makes_out_of_date_what_the_page_says(toy: Toy, name: str) -> None:
    file = toy.where / Path(name)
    before = file.read_bytes()
    file.write_bytes(before + (b"\n/* edited */\n" if file.suffix == ".css" else b"\n# edited\n"))
    first = out_of_date(toy)
    naming = sorted(address for address in first if address.partition("@")[0] in NAMING)
    kept = {path: path.read_bytes() for path in (toy.where / "dvc.lock", *(toy.where / "data").glob("*/*.json"))}
    if naming:  # what they make says whose code it was
        run(["dvc", "repro", "--single-item", *naming], toy.where)
    then = out_of_date(toy) - first if naming else set()
    for path, content in {**kept, file: before}.items():
        path.write_bytes(content)
    if name.startswith("gait/models/"):  # a file of one model
        first, then = set(), first
    assert in_words(first, then) == ROWS[name]
