"""With a DVC whose own names are not those that are known here, its command gives the same answers and results."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.from_scratch import made_from_scratch
from tests.support.toy import ROOT, environment, run
from tests.support.toy_pipeline import SMALL, Toy
from workflow import code_deps
from workflow.dvc import private
from workflow.dvc.way import NOTE

# A file of DVC, a text in it, and what stands there instead.
CHANGES = {
    "a function has another name": ("stage/cache.py", "_can_hash", "_hashable"),
    "a function takes more": (
        "rwlock.py",
        "_edit_rwlock(lock_dir, fs, hardlink)",
        "_edit_rwlock(lock_dir, fs, hardlink, wait=0)",
    ),
    "an attribute has another name": ("repo/__init__.py", "tmp_dir", "temporary_dir"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A repository of one model in which everything has run."""
    toy = Toy.make(tmp_path_factory.mktemp("made"), declared=SMALL)
    toy.edit(r"models: \[.*?\]", "models: [gaitset]")
    toy.dvc("repro")
    return toy


@pytest.fixture
def toy(made: Toy, tmp_path: Path) -> Toy:
    """The same with a new setting."""
    toy = made.copy(tmp_path / "toy")
    toy.edit(r"lr: 4e-3, weight_decay", "lr: 2e-3, weight_decay")
    return toy


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with another DVC."""
    return changed_dvc(tmp_path_factory.mktemp("other"), *CHANGES["a function has another name"])


def changed_dvc(folder: Path, name: str, text: str, instead: str) -> str:
    """Write a DVC into a folder, in whose files a text is replaced where one of them has it."""
    spec = find_spec("dvc")
    assert spec and spec.submodule_search_locations
    package = folder / "dvc"
    shutil.copytree(spec.submodule_search_locations[0], package, ignore=shutil.ignore_patterns("__pycache__"))
    assert text in (package / name).read_text()
    files = package.rglob("*.py") if text.isidentifier() else [package / name]
    for file in files:
        file.write_text(re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", instead, file.read_text()))
    return str(folder)


def asked(toy: Toy, *command: str, dvc: str | None = None) -> tuple[str, str]:
    """What a command prints with this DVC or another: its answer, and all that it says beside."""
    env = environment() | ({"PYTHONPATH": dvc} if dvc else {})
    done = subprocess.run(command, cwd=toy.where, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, done.stderr


STATUS = (sys.executable, "-m", "workflow.dvc.status")


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_it_lists_the_same_stages_and_says_once_that_it_is_slower(toy: Toy, tmp_path: Path, change: str) -> None:
    dvc = changed_dvc(tmp_path / "other", *CHANGES[change])
    expected, nothing = asked(toy, *STATUS)
    assert "train@gaitset" in expected and not nothing
    listed, said = asked(toy, *STATUS, dvc=dvc)
    assert sorted(listed.split()) == sorted(expected.split())
    assert said.count(NOTE) == 1 == len(said.splitlines()), said
    assert "slower, with the same results" in said


@pytest.mark.slow
def test_snakemake_makes_the_same(toy: Toy, other: str) -> None:
    printed = run(["snakemake", "--cores", "2", "results/train/gaitset"], toy.where, PYTHONPATH=other)
    assert printed.count(NOTE) == 1, printed
    assert NOTE not in (toy.where / "logs/train-gaitset.log").read_text()
    ((file, text),) = made_from_scratch(toy.where)["train@gaitset"].items()
    assert (toy.where / file).read_text() == text
    assert "train@gaitset" not in asked(toy, *STATUS)[0]


@pytest.mark.slow
def test_snakemake_runs_all_and_restores_what_is_known(toy: Toy, other: str) -> None:
    before = len(toy.ran())
    run(["snakemake", "--cores", "2", "all"], toy.where, PYTHONPATH=other)
    ran = toy.ran()[before:]
    assert len(ran) == len(set(ran)) and "train@gaitset" in ran and "dataset" not in ran
    assert toy.results() == {file: text for files in made_from_scratch(toy.where).values() for file, text in files.items()}
    toy.agree()
    toy.edit(r"lr: 2e-3, weight_decay", "lr: 4e-3, weight_decay")
    run(["snakemake", "--cores", "2", "results/prune/gaitset/p60"], toy.where, PYTHONPATH=other)
    assert toy.ran()[before:] == ran
    planned = run(["snakemake", "-n", "--cores", "2", "results/prune/gaitset/p60"], toy.where, PYTHONPATH=other)
    assert "Nothing to be done" in planned


@pytest.mark.slow
def test_a_stage_runs_fails_and_is_reported(toy: Toy, other: str) -> None:
    before = len(toy.ran())
    command = (sys.executable, "-m", "workflow.dvc.run_stage", "train@gaitset")
    failing = toy.where / "fail/train@gaitset"
    failing.parent.mkdir()
    failing.touch()
    failed = subprocess.run(
        command, cwd=toy.where, env=environment() | {"PYTHONPATH": other}, capture_output=True, text=True
    )
    assert failed.returncode == 255
    assert "train@gaitset was told to fail" in failed.stderr and "Traceback" not in failed.stderr
    assert failed.stderr.count(NOTE) == 1
    failing.unlink()
    asked(toy, *command, dvc=other)
    assert toy.ran()[before:] == ["train@gaitset", "train@gaitset"]
    assert "train@gaitset" not in asked(toy, *STATUS)[0]
    asked(toy, *command, dvc=other)
    assert len(toy.ran()) == before + 2


@pytest.mark.slow
def test_the_forecast_counts_what_is_out_of_date_and_what_follows(toy: Toy, other: str) -> None:
    command = (sys.executable, "-m", "gaitpress", "forecast", "--json")
    expected, other_forecast = (json.loads(asked(toy, *command, dvc=dvc)[0]) for dvc in (None, other))
    assert other_forecast["runs"] == expected["runs"] and next(iter(other_forecast["runs"])) == "train@gaitset"
    assert other_forecast["longest_s"] == expected["longest_s"]


@pytest.mark.slow
def test_who_is_at_work_is_waited_for_and_out_of_date_to_who_asks(toy: Toy, other: str) -> None:
    held = toy.where / "hold/train@gaitset"
    held.parent.mkdir()
    held.touch()
    command = [sys.executable, "-m", "workflow.dvc.run_stage", "train@gaitset"]
    before = len(toy.ran())
    env = environment() | {"PYTHONPATH": other}
    first = subprocess.Popen(command, cwd=toy.where, env=env, stderr=subprocess.PIPE, text=True)
    second = None
    try:
        while len(toy.ran()) == before:
            assert first.poll() is None
            time.sleep(0.05)
        listed = asked(toy, *STATUS, dvc=other)[0].split()
        assert "train@gaitset" in listed and "dataset" not in listed
        second = subprocess.Popen(command, cwd=toy.where, env=env, stderr=subprocess.PIPE, text=True)
        assert second.stderr
        while "waiting, for another process is at work" not in (line := second.stderr.readline()):
            assert line
        held.unlink()
        assert first.wait(60) == 0
        assert "waiting" not in second.communicate(timeout=60)[1]  # said once
        assert second.returncode == 0
    finally:
        for process in filter(None, (first, second)):
            process.kill()
            process.wait()
    assert toy.ran()[before:] == ["train@gaitset"]


@pytest.mark.slow
def test_a_killed_runner_takes_the_stage_with_it(toy: Toy, other: str) -> None:
    held = toy.where / "hold/train@gaitset"
    held.parent.mkdir()
    held.touch()
    command = [sys.executable, "-m", "workflow.dvc.run_stage", "train@gaitset"]
    before = len(toy.ran())
    runner = subprocess.Popen(command, cwd=toy.where, env=environment() | {"PYTHONPATH": other}, stderr=subprocess.PIPE)
    while len(toy.ran()) == before:
        assert runner.poll() is None
        time.sleep(0.05)
    runner.kill()
    runner.communicate(timeout=60)  # which ends when the stage has closed its end
    held.unlink()
    assert not (toy.where / "results/train/gaitset/content").exists()


def test_other_parameters_and_a_name_that_is_gone_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    private.try_names()
    name, parameters = "dvc.rwlock:rwlock", private.FUNCTIONS["dvc.rwlock:rwlock"]
    for functions, message in (
        ({name: f"{parameters} more"}, "dvc.rwlock:rwlock takes "),
        ({f"{name}_of_old": parameters}, "dvc.rwlock:rwlock_of_old is not there"),
    ):
        with monkeypatch.context() as other, pytest.raises(ImportError, match=message):
            other.setattr(private, "FUNCTIONS", functions)
            private.try_names()
    monkeypatch.setattr(private, "ATTRIBUTES", {"dvc.repo:Repo": "tmp_dir tmp_dir_of_old"})
    with pytest.raises(ImportError, match=r"dvc\.repo:Repo has no tmp_dir_of_old"):
        private.try_names()


def test_no_other_file_has_names_of_dvcs_own() -> None:
    imports = re.compile(r"^\s*(from|import) dvc(_data|_objects)?\b(?!\.api\b)", re.MULTILINE)
    files = [
        file
        for top in (*code_deps.PACKAGES, "workflow", "simulator", "tests", "benchmarks")
        for file in (ROOT / top).rglob("*.py")
    ]
    # A test counts what DVC reads, and a benchmark writes its cache: these may break with another DVC.
    others = {"tests/gaitpress/test_forecast.py", "benchmarks/common/large_study.py"}
    using = {str(file.relative_to(ROOT)) for file in files if imports.search(file.read_text())}
    assert using == {"workflow/dvc/private.py"} | others
