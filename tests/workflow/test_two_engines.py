"""`dvc repro` and `snakemake` on one DAG: they agree, compute what changed, and compute nothing twice."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.browser import PROGRAM, Browser
from tests.support.toy import ROOT, environment, run
from tests.support.toy_pipeline import Toy
from workflow.dvc.stages import read_yaml

FAN_IN = {"report", "track"}
FAN_IN_FOLDERS = ("results/report", "results/track")


@pytest.fixture(scope="module")
def made_by_dvc(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A repository in which `dvc repro` has run all."""
    toy = Toy.make(tmp_path_factory.mktemp("by-dvc"))
    assert toy.dvc("repro")
    return toy


@pytest.fixture
def toy(made_by_dvc: Toy, tmp_path: Path) -> Toy:
    return made_by_dvc.copy(tmp_path)


def one_branch(where: Path) -> Toy:
    """A repository with one model, pruned at one percentile."""
    toy = Toy.make(where, percentiles=(60,))
    toy.edit(r"models: \[.*?\]", "models: [gaitset]")
    toy.edit(r"modalities: \[.*?\]", "modalities: [silhouette]")
    return toy


@dataclass(frozen=True)
class Size:
    """How much of the DAG there is: a way to write the repository, its models, and one in which `dvc repro` has run all."""

    make: Callable[[Path], Toy]
    models: tuple[str, ...]
    made_by_dvc: Toy


@pytest.fixture(scope="module", params=["one branch", "all"])
def size(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Size:
    if request.param == "all":
        return Size(Toy.make, ("gaitset", "cnn2d"), request.getfixturevalue("made_by_dvc"))
    toy = one_branch(tmp_path_factory.mktemp("one-branch"))
    assert toy.dvc("repro")
    return Size(one_branch, ("gaitset",), toy)


def branch(model: str, percentile: int) -> set[str]:
    return {
        *(f"{stage}@{model}-{percentile}" for stage in ("prune", "finetune", "export")),
        f"quantize@{model}-{percentile}-fp32",
        *(f"{stage}@local-{model}-{percentile}-fp32" for stage in ("build", "benchmark", "recognise")),
    }


@pytest.mark.slow
def test_snakemake_finds_nothing_to_do_after_dvc(size: Size, tmp_path: Path) -> None:
    toy = size.made_by_dvc.copy(tmp_path)
    toy.agree()
    assert toy.snakemake() == set()


@pytest.mark.slow
def test_both_engines_give_the_same_results_and_the_same_lock_file(size: Size, tmp_path: Path) -> None:
    other = size.make(tmp_path)
    printed = run(["snakemake", "--cores", "2", "--verbose", "all"], other.where)
    ran = other.ran()
    assert {"dataset", "train@gaitset", "report", "track"} <= set(ran)
    # Snakemake looks for jobs to start at first and when one has ended, not all the time.
    assert 0 < printed.count("Ready jobs:") <= 1 + len(ran)
    assert other.results() == size.made_by_dvc.results()
    assert read_yaml(other.where / "dvc.lock") == read_yaml(size.made_by_dvc.where / "dvc.lock")
    other.agree()
    _reports_itself(other, tmp_path / "profile")


def _reports_itself(toy: Toy, profile: Path) -> None:
    """Snakemake's own report shows what the stage ``report`` made, and needs no network."""
    (toy.where / "results/report/pareto.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    printed = run(["snakemake", "--report", "snakemake-report.html"], toy.where)
    assert "Adding pareto.svg" in printed and "Report created" in printed
    if PROGRAM is None:
        return
    profile.mkdir()
    with Browser(profile) as page:
        page.open(toy.where / "snakemake-report.html")
        page.wait_for("document.body.innerText.includes('Results')", timeout_s=60)
        assert all(address.startswith(("file:", "data:")) for address in page.requests)
        # A warning of a library that is in every such report.
        assert not [fault for fault in page.faults if "tailwindcss" not in fault]


@pytest.mark.slow
def test_lint_finds_nothing_but_that_rules_have_no_environments_of_their_own() -> None:
    """They share the one that `make` sets up."""
    printed = subprocess.run(["snakemake", "--lint"], cwd=ROOT, env=environment(), text=True, capture_output=True).stderr
    advice = {line.strip() for line in printed.splitlines() if line.startswith("    * ")}
    assert advice == {"* Specify a conda environment or container for each rule.:"}, printed


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["dvc", "snakemake"])
def test_a_new_percentile_runs_its_own_branches_and_its_removal_runs_the_fan_in_only(
    size: Size, tmp_path: Path, engine: str
) -> None:
    toy = size.made_by_dvc.copy(tmp_path)
    reproduce = {"dvc": lambda: toy.dvc("repro"), "snakemake": toy.snakemake}[engine]
    before = toy.results()
    toy.edit(r"percentiles: \[", "percentiles: [45, ")
    assert reproduce() == FAN_IN.union(*(branch(model, 45) for model in size.models))
    toy.edit(r"percentiles: \[45, ", "percentiles: [")
    assert reproduce() <= FAN_IN
    after = toy.results()
    assert all(after[path] == text for path, text in before.items() if not path.startswith(FAN_IN_FOLDERS))
    toy.agree()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["dvc", "snakemake"])
def test_one_models_setting_leaves_the_other_alone_and_setting_it_back_restores(toy: Toy, engine: str) -> None:
    reproduce = {"dvc": lambda: toy.dvc("repro"), "snakemake": toy.snakemake}[engine]
    before = toy.results()
    toy.edit(r"lr: 4e-3, weight_decay", "lr: 2e-3, weight_decay")
    ran = reproduce()
    assert "train@gaitset" in ran
    assert not any("cnn2d" in address for address in ran)
    assert toy.results() != before
    toy.edit(r"lr: 2e-3, weight_decay", "lr: 4e-3, weight_decay")
    assert reproduce() <= {"track"}
    assert toy.results() == before
    toy.agree()


@pytest.mark.slow
def test_what_is_known_is_restored_before_any_job_starts_and_by_no_dry_run(toy: Toy) -> None:
    before, lock = toy.results(), read_yaml(toy.where / "dvc.lock")
    toy.edit(r"lr: 4e-3, weight_decay", "lr: 2e-3, weight_decay")
    toy.snakemake()
    changed = toy.results()
    # Back again, with a percentile that was never computed: what it needs is restored, the rest of its branch runs.
    toy.edit(r"lr: 2e-3, weight_decay", "lr: 4e-3, weight_decay")
    toy.edit(r"percentiles: \[.*?\]", "percentiles: [0, 45, 60]")
    run(["snakemake", "-n", "--cores", "2", "all"], toy.where)
    assert toy.results() == changed
    printed = run(["snakemake", "--cores", "2", "results/finetune/gaitset/p60"], toy.where)
    assert "Nothing to be done" in printed
    assert toy.results()["results/finetune/gaitset/p60/content"] == before["results/finetune/gaitset/p60/content"]
    assert toy.results()["results/report/content"] == changed["results/report/content"]
    assert toy.snakemake() == branch("gaitset", 45) | branch("cnn2d", 45) | FAN_IN
    toy.edit(r"percentiles: \[.*?\]", "percentiles: [0, 60]")
    assert toy.snakemake() <= FAN_IN
    stages = read_yaml(toy.where / "dvc.lock")["stages"]
    assert {name: stages[name] for name in lock["stages"] if name not in FAN_IN} == {
        name: entry for name, entry in lock["stages"].items() if name not in FAN_IN
    }
    toy.agree()


@pytest.mark.slow
def test_a_new_device_runs_its_own_branch_alone(toy: Toy) -> None:
    before = toy.results()
    run(["python", "-m", "remote", "add", "other", "local"], toy.where)
    assert toy.dvc("repro") == set()
    toy.edit(r"devices: \[local\]", "devices: [local, other]")
    ran = toy.snakemake()
    assert {"probe@other", "build@other-gaitset-0-fp32", "benchmark@other-cnn2d-60-fp32"} <= ran
    assert {address for address in ran if "other" not in address} == FAN_IN
    after = toy.results()
    assert all(after[path] == text for path, text in before.items() if not path.startswith(FAN_IN_FOLDERS))
    toy.agree()


@pytest.mark.slow
def test_a_board_is_not_kept_waiting_for_what_this_machine_has_to_do(toy: Toy) -> None:
    run(["python", "-m", "remote", "add", "board", "ssh://board.invalid"], toy.where)
    toy.edit(r"devices: \[local\]", "devices: [board]")
    toy.edit(r"percentiles: \[.*?\]", "percentiles: [0, 30, 45, 60]")
    before = len(toy.ran())
    toy.snakemake(cores=1)
    ran = toy.ran()[before:]
    assert max(ran.index(f"benchmark@board-{model}-0-fp32") for model in ("cnn2d", "gaitset")) < ran.index("prune@cnn2d-45")


@pytest.mark.slow
def test_new_optical_flow_does_not_prepare_silhouettes_again(toy: Toy) -> None:
    toy.edit(r"method: dis", "method: farneback")
    ran = toy.snakemake()
    assert {"preprocess@flow", "train@cnn2d"} <= ran
    assert "preprocess@silhouette" not in ran


@pytest.mark.slow
@pytest.mark.parametrize("again", ["dvc", "snakemake"])
def test_after_a_stage_failed_once_everything_agrees_again(toy: Toy, again: str) -> None:
    toy.edit(r"seed: 1\n  gaitpart", "seed: 2\n  gaitpart")
    failing = toy.where / "fail" / "finetune@gaitset-60"
    failing.parent.mkdir()
    failing.touch()
    printed = toy.fails(["snakemake", "--cores", "2", "all"])
    assert "finetune@gaitset-60 was told to fail" in printed
    # Branches that do not need it went on.
    assert "benchmark@local-gaitset-0-fp32" in (toy.where / "ran.txt").read_text()
    failing.unlink()
    ran = toy.snakemake() if again == "snakemake" else toy.dvc("repro")
    assert "benchmark@local-gaitset-60-fp32" in ran
    assert "train@gaitset" not in ran
    toy.agree()


@pytest.mark.slow
def test_lost_and_changed_outputs_are_restored(toy: Toy) -> None:
    before = toy.results()
    shutil.rmtree(toy.where / ".snakemake", ignore_errors=True)
    shutil.rmtree(toy.where / "results/train")
    (toy.where / "results/prune/gaitset/p60/content").write_text("tampered")
    assert toy.snakemake() <= {"track"}
    assert toy.results() == before
    toy.agree()


@pytest.mark.slow
def test_an_edited_stage_reruns_with_what_follows_from_it(toy: Toy) -> None:
    with (toy.where / "stages/export.py").open("a") as module:
        module.write("# changed\n")
    ran = toy.snakemake()
    assert {"export@gaitset-0", "quantize@gaitset-0-fp32", "report"} <= ran
    assert not any(address.startswith(("train", "prune", "finetune")) for address in ran)
    toy.agree()


@pytest.mark.slow
def test_wrong_parameters_are_reported_before_anything_runs(tmp_path: Path) -> None:
    toy = one_branch(tmp_path)
    assert toy.dvc("repro", "dataset")
    toy.edit(r"percentiles: \[.*?\]", "percentiles: [0, 140]")
    printed = toy.fails(["snakemake", "--cores", "2", "all"])
    assert "params.yaml: prune.percentiles[1] = 140: must be at least 0 and less than 100" in printed
    assert "Traceback" not in printed
    assert json.loads((toy.where / ".dvc/tmp/rwlock").read_text() or "{}") == {}
