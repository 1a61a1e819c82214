"""Edits while a stage runs: its result is recorded as made of what it was made of, or not at all. By either engine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import pytest

from tests.support.from_scratch import made_from_scratch
from tests.support.toy import environment
from tests.support.toy_pipeline import SMALL, Toy
from workflow.dvc.private import Repo

TRAIN = "train@gaitset"
ENGINES = {
    "dvc": ["dvc", "repro", TRAIN],
    "dvc -f": ["dvc", "repro", "-f", "-s", TRAIN],
    "snakemake": ["snakemake", "--cores", "2", "results/train/gaitset"],
}
# Each edit, and what is said of it.
EDITS: dict[str, tuple[str, str, str, str]] = {
    "parameter": ("params.yaml", "lr: 2e-3, weight_decay", "lr: 5e-3, weight_decay", "params.yaml: model.gaitset."),
    "code": ("stages/train.py", "from __future__", "# edited\nfrom __future__", "stages/train.py: edited while"),
    "input": ("data/raw/walkers/content", "", "edited", "data/raw/walkers/content: edited while"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A repository with a dataset, in which nothing is trained."""
    toy = Toy.make(tmp_path_factory.mktemp("made"), declared=SMALL)
    toy.edit(r"models: \[.*?\]", "models: [gaitset]")
    toy.edit(r"lr: 4e-3, weight_decay", "lr: 2e-3, weight_decay")
    toy.dvc("repro", "dataset")
    return toy


@pytest.fixture
def toy(made: Toy, tmp_path: Path) -> Toy:
    return made.copy(tmp_path)


class Begun:
    """An engine at work on the training, which waits at some point until it is let go."""

    def __init__(self, toy: Toy, command: list[str], waits: Path, there: Callable[[], bool], **env: str) -> None:
        self._waits, self._log = waits, toy.where / "run.log"
        waits.parent.mkdir(exist_ok=True)
        waits.touch()
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=toy.where, env=environment() | env, stdout=log, stderr=subprocess.STDOUT
            )
        for _ in range(2400):
            if there():
                break
            assert self.process.poll() is None, self._log.read_text()
            time.sleep(0.05)

    def let_go(self) -> tuple[int, str]:
        """Its exit status and what it printed."""
        self._waits.unlink(missing_ok=True)
        return self.process.wait(120), self._log.read_text()


@pytest.fixture
def begin(toy: Toy) -> Iterator[Callable[..., Begun]]:
    begun: list[Begun] = []

    def start(command: list[str], waits: str, there: Callable[[], bool], **env: str) -> Begun:
        begun.append(Begun(toy, command, toy.where / waits, there, **env))
        return begun[-1]

    yield start
    for run in begun:
        run.let_go()


def trained(toy: Toy) -> bool:
    """Whether what stands there as trained is what follows from what stands in all files now."""
    ((file, text),) = made_from_scratch(toy.where)[TRAIN].items()
    return (toy.where / file).exists() and (toy.where / file).read_text() == text


def stale(toy: Toy) -> bool:
    """What DVC says of the training."""
    with chdir(toy.where), Repo() as repo:
        return bool(repo.status([TRAIN]))


def edited(toy: Toy, edit: str) -> None:
    name, before, after, _ = EDITS[edit]
    file = toy.where / name
    text = file.read_text()
    file.write_text(text.replace(before, after, 1) if before else after)


def reproduced(toy: Toy, engine: str) -> None:
    """Brought up to date, rightly, and both engines think so."""
    done = subprocess.run(ENGINES[engine], cwd=toy.where, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert trained(toy)
    assert not stale(toy)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "edit"),
    [
        ("dvc", "parameter"),
        ("dvc", "code"),
        ("dvc -f", "parameter"),
        ("snakemake", "parameter"),
        ("snakemake", "code"),
        ("dvc", "input"),
        ("snakemake", "input"),
    ],
)
def test_what_was_made_of_something_else_is_not_recorded(
    toy: Toy, begin: Callable[..., Begun], engine: str, edit: str
) -> None:
    run = begin(ENGINES[engine], f"hold/{TRAIN}", lambda: TRAIN in toy.ran())
    before = {name: (toy.where / name).read_text() for name in (EDITS[edit][0], "dvc.lock")}
    edited(toy, edit)
    status, output = run.let_go()
    assert status
    assert EDITS[edit][3] in output
    assert (toy.where / "dvc.lock").read_text() == before["dvc.lock"]
    if edit == "input":
        (toy.where / EDITS[edit][0]).write_text(before[EDITS[edit][0]])
    # The old one is not brought back for the new value, nor the new one for the old value.
    reproduced(toy, engine.removesuffix(" -f"))
    (toy.where / EDITS[edit][0]).write_text(before[EDITS[edit][0]])
    reproduced(toy, engine.removesuffix(" -f"))


def slow_to_load(toy: Toy) -> dict[str, str]:
    """A Python that waits before it loads a stage, while hold/python is there."""
    program = toy.where / "late/python"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\ncase "$*" in *toystage*) touch late/there; while [ -e hold/python ]; do sleep 0.02; done;; esac\n'
        f'exec {sys.executable} "$@"\n'
    )
    program.chmod(0o755)
    return {"PATH": f"{program.parent}{os.pathsep}{environment()['PATH']}"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "edit"),
    [
        ("snakemake", "parameter"),
        ("dvc", "parameter"),
        ("dvc", "code"),
        ("snakemake", "code"),
    ],
)
def test_an_edit_before_the_stage_has_loaded(toy: Toy, begin: Callable[..., Begun], engine: str, edit: str) -> None:
    run = begin(ENGINES[engine], "hold/python", lambda: (toy.where / "late/there").exists(), **slow_to_load(toy))
    edited(toy, edit)
    status, output = run.let_go()
    if engine == "dvc":  # which looks afterwards
        assert status == 0, output
        assert trained(toy)
    else:  # which has looked before
        assert status
        assert "edited as train@gaitset began; nothing was made yet. Run the same again" in output
    reproduced(toy, engine)


@pytest.mark.slow
@pytest.mark.parametrize("edit", ["parameter", "code"])
def test_an_edit_when_the_output_is_in_place_is_no_matter_to_snakemake(
    toy: Toy, begin: Callable[..., Begun], edit: str
) -> None:
    run = begin(ENGINES["snakemake"], f"last/{TRAIN}", (toy.where / "results/train/gaitset/content").exists)
    made_of, before = trained(toy), (toy.where / EDITS[edit][0]).read_text()
    edited(toy, edit)
    status, output = run.let_go()
    assert status == 0, output
    assert made_of
    assert stale(toy)
    (toy.where / EDITS[edit][0]).write_text(before)
    assert not stale(toy)
    assert trained(toy)


def test_what_a_stage_does_not_list_may_be_edited(toy: Toy, begin: Callable[..., Begun]) -> None:
    run = begin(ENGINES["dvc"], f"hold/{TRAIN}", lambda: TRAIN in toy.ran())
    toy.edit(r"session: \d+", "session: 7")
    toy.edit("lr: ", "lr:  ")  # of another look, and the same
    toy.edit(r"models: \[.*?\]", "models: [cnn2d]")  # DVC goes on with what it has read
    (toy.where / "stages/prune.py").write_text("# edited\n")
    os.utime(toy.where / "stages/train.py")
    os.utime(toy.where / "data/raw/walkers/content")
    status, output = run.let_go()
    assert status == 0, output
