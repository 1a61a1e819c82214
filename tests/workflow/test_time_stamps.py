"""Dates of files decide nothing: what is out of date is what DVC says, by content."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.support.toy import run
from tests.support.toy_pipeline import OUTPUTS, SMALL, Toy

TOMORROW = time.time() + 86400
TRACKED_ANEW = (r"experiment: \S+", "experiment: another")
MEASURED_ANEW = (r"session: \d+", "session: 7")
MEASURED = {"benchmark@local-gaitset-0", "benchmark@local-gaitset-60", "report", "track"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A repository of one model in which everything has run."""
    toy = Toy.make(tmp_path_factory.mktemp("made"), declared=SMALL)
    toy.edit(r"models: \[.*?\]", "models: [gaitset]")
    toy.snakemake()
    return toy


def dated(toy: Toy, when: float, *tops: str) -> None:
    """Give all files and folders of outputs a date."""
    for top in tops:
        for path in (toy.where / top, *(toy.where / top).rglob("*")):
            os.utime(path, (when, when))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("when", "edit", "expected"),
    [
        pytest.param(TOMORROW, TRACKED_ANEW, {"track"}, id="tomorrow"),
        pytest.param(TOMORROW, MEASURED_ANEW, MEASURED, id="tomorrow, several jobs"),
        pytest.param(0.0, MEASURED_ANEW, MEASURED, id="1970"),
        pytest.param(-86400.0, TRACKED_ANEW, {"track"}, id="1969"),
    ],
)
@pytest.mark.parametrize("engine", ["dvc", "snakemake"])
def test_an_edit_runs_what_dvc_lists_whatever_the_dates_of_outputs(
    made: Toy, tmp_path: Path, engine: str, when: float, edit: tuple[str, str], expected: set[str]
) -> None:
    toy = made.copy(tmp_path)
    dated(toy, when, *OUTPUTS)
    toy.agree()
    dated(toy, when, *OUTPUTS)
    toy.edit(*edit)
    assert (toy.dvc("repro") if engine == "dvc" else toy.snakemake()) == expected
    toy.agree()


@pytest.mark.slow
@pytest.mark.parametrize("when", [TOMORROW, 1.0], ids=["tomorrow", "long ago"])
def test_inputs_with_another_date_than_what_was_made_of_them_start_nothing(made: Toy, tmp_path: Path, when: float) -> None:
    toy = made.copy(tmp_path)
    dated(toy, when, "data", "stages", "gait")
    for name in ("params.yaml", "dvc.yaml", "dvc.lock", "Snakefile", ".snakemake"):
        os.utime(toy.where / name, (when, when))
    toy.agree()
    # Nor does Snakemake complain of them once a job that reads them is done.
    toy.edit(*TRACKED_ANEW)
    dated(toy, when, "results/benchmark", "results/train")
    assert toy.snakemake() == {"track"}


@pytest.mark.slow
def test_links_to_outputs_elsewhere_are_dated_like_outputs_here(made: Toy, tmp_path: Path) -> None:
    toy = made.copy(tmp_path / "here")
    elsewhere = tmp_path / "large-disk"
    (toy.where / "results/benchmark").rename(elsewhere)
    (toy.where / "results/benchmark").symlink_to(elsewhere)
    for path in elsewhere.rglob("*"):
        os.utime(path, (TOMORROW, TOMORROW))
    toy.edit(*MEASURED_ANEW)
    assert "benchmark" in run(["snakemake", "-n", "--cores", "2", "all"], toy.where)
