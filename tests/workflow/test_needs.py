"""An edit of data, or of training, prunes again by itself only where pruning looks at data. By DVC, in a copy."""

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
    "preprocess": ("params.yaml", r"pixels: 64 ", "pixels: 96 ", {"gaitset", "cnn2d"}),
    "a loss": ("gait/losses/triplet.py", r"\Z", "# edited\n", {"gaitset"}),
    "a training loop": ("gait/training/keras/loop.py", r"\Z", "# edited\n", {"cnn2d"}),
}


# The criterion, and whether layers are reconstructed.
SETTINGS = {"weights alone": ("mean-l1", False), "criterion": ("taylor", False), "reconstruction": ("mean-l1", True)}


@pytest.fixture(scope="module", params=SETTINGS)
def looks_at(request: pytest.FixtureRequest) -> str:
    """Why pruning looks at data, if it does."""
    return str(request.param)


@pytest.fixture(scope="module")
def pruned(looks_at: str, tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A repository with the real lists of dependencies, in which all is pruned."""
    toy = Toy.make(tmp_path_factory.mktemp("needs"), percentiles=[30], all_code=True)
    criterion, reconstruct = SETTINGS[looks_at]
    toy.edit(r"criterion: \S+", f"criterion: {criterion}")
    toy.edit(r"reconstruct: \S+", f"reconstruct: {str(reconstruct).lower()}")
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
def test_what_prunes_again_by_itself(toy: Toy, looks_at: str, edit: str) -> None:
    name, pattern, text, models = EDITS[edit]
    toy.edit(pattern, text, name)
    for stage in NAMING:
        run(["dvc", "repro", "-q", "--single-item", stage], toy.where)
    assert out_of_date(toy) == (set() if looks_at == "weights alone" else models)


def test_another_criterion_trains_nothing_again(toy: Toy) -> None:
    toy.edit(r"criterion: \S+", "criterion: fpgm")
    ran = {address.partition("@")[0] for address in toy.dvc("repro", "prune")}
    assert ran == {"needs", "prune"}
