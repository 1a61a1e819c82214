"""An edit of data, or of training, prunes again by itself only where the criterion looks at data. By DVC, in a copy."""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path

import pytest

from tests.support.toy import run
from tests.support.toy_pipeline import Toy
from workflow.dvc.private import Repo

pytestmark = pytest.mark.slow
NAMING = ("preprocess", "partition", "needs")  # those before `train` that an edit of data or training runs again
EDITS = {
    "preprocess": ("params.yaml", r"size: 64 ", "size: 96 ", {"gaitset", "cnn2d"}),
    "a loss": ("gait/losses/triplet.py", r"\Z", "# edited\n", {"gaitset"}),
    "a training loop": ("gait/training/keras/loop.py", r"\Z", "# edited\n", {"cnn2d"}),
}


@pytest.fixture(scope="module", params=["mean-l1", "taylor"])
def criterion(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def pruned(criterion: str, tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A repository with the real lists of dependencies, in which all is pruned."""
    toy = Toy.make(tmp_path_factory.mktemp("needs"), percentiles=[30], all_code=True)
    toy.edit(r"criterion: \S+", f"criterion: {criterion}")
    toy.dvc("repro", "prune")
    assert not out_of_date(toy)
    return toy


def out_of_date(toy: Toy) -> set[str]:
    """The models that are to be pruned again, whatever becomes of their training."""
    with chdir(toy.where), Repo() as repo:
        addresses = [address.rpartition(":")[2] for address in repo.status()]
    return {address.removeprefix("prune@").partition("-")[0] for address in addresses if address.startswith("prune@")}


@pytest.fixture
def toy(pruned: Toy, tmp_path: Path) -> Toy:
    return pruned.copy(tmp_path)


@pytest.mark.parametrize("edit", EDITS)
def test_what_prunes_again_by_itself(toy: Toy, criterion: str, edit: str) -> None:
    name, pattern, text, models = EDITS[edit]
    toy.edit(pattern, text, name)
    for stage in NAMING:
        run(["dvc", "repro", "-q", "--single-item", stage], toy.where)
    assert out_of_date(toy) == (models if criterion == "taylor" else set())


def test_another_criterion_trains_nothing_again(toy: Toy, criterion: str) -> None:
    toy.edit(r"criterion: \S+", "criterion: fpgm")
    ran = {address.partition("@")[0] for address in toy.dvc("repro", "prune")}
    assert ran == {"needs", "prune"}
