"""Folders as users have them: with blanks, on another disk, from an archive; and what they remove there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.toy import run
from tests.support.toy_pipeline import SMALL, Toy

SNAKEMAKE = ["snakemake", "--cores", "2", "all"]
DVC = ["dvc", "repro"]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A repository of one model in which nothing has run."""
    toy = Toy.make(tmp_path_factory.mktemp("fresh"), declared=SMALL)
    toy.edit(r"models: \[.*?\]", "models: [gaitset]")
    return toy


@pytest.mark.slow
def test_a_folder_whose_name_has_blanks(fresh: Toy, tmp_path: Path) -> None:
    toy = fresh.copy(tmp_path / "my own work" / "gait (new)")
    assert "report" in toy.snakemake(cores=4)
    toy.agree()


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("results", SNAKEMAKE),
        pytest.param("data/raw", DVC, marks=pytest.mark.slow),
        pytest.param("results", DVC, marks=pytest.mark.slow),
        pytest.param("data/raw", SNAKEMAKE, marks=pytest.mark.slow),
    ],
)
def test_a_folder_of_outputs_that_is_linked_to_another_disk_is_refused_before_any_work(
    fresh: Toy, tmp_path: Path, name: str, command: list[str]
) -> None:
    toy = fresh.copy(tmp_path / "here")
    (tmp_path / "large").mkdir()
    (toy.where / name).parent.mkdir(exist_ok=True)
    (toy.where / name).symlink_to(tmp_path / "large")
    printed = toy.fails(command)
    assert f"error: {name} is a link to {tmp_path / 'large'}, where DVC records nothing" in printed
    assert f"mount --bind {tmp_path / 'large'} {name}" in printed
    assert (toy.where / name).is_symlink()
    assert not list((tmp_path / "large").iterdir())


@pytest.mark.slow
def test_an_output_that_is_linked_to_another_disk_is_not_replaced(fresh: Toy, tmp_path: Path) -> None:
    toy = fresh.copy(tmp_path / "here")
    (tmp_path / "large").mkdir()
    link = toy.where / "results/train/gaitset"
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "large")
    assert "results/train/gaitset is a link to" in toy.fails(SNAKEMAKE)
    assert "train@gaitset" in toy.dvc("repro")  # as Snakemake's words advise
    assert link.is_symlink()
    toy.agree()


@pytest.mark.slow
def test_an_archive_without_git_is_reported_with_what_to_type(fresh: Toy, tmp_path: Path) -> None:
    toy = fresh.copy(tmp_path)
    shutil.rmtree(toy.where / ".git")
    for command in (SNAKEMAKE, ["python", "-m", "gaitpress", "forecast"]):
        assert "type `git init`" in toy.fails(command)
    run(["git", "init", "-q"], toy.where)
    assert run(["snakemake", "-n", *SNAKEMAKE[1:]], toy.where)


@pytest.mark.slow
def test_runs_are_tracked_again_once_the_database_is_removed(fresh: Toy, tmp_path: Path) -> None:
    toy = fresh.copy(tmp_path)
    toy.dvc("repro")
    toy.agree()
    (toy.where / "mlflow.db").unlink()
    assert "any more" in toy.fails(["python", "-m", "gaitpress", "compare", "--no-start"])
    assert "rule track" in run(["snakemake", "-n", *SNAKEMAKE[1:]], toy.where)
    assert (toy.where / "results/track/receipt.json").exists()  # a question changes nothing
    assert toy.snakemake() == {"track"}
    toy.agree()
