"""DVC is asked what is out of date by a process that ends with the question."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.toy import ROOT, environment, run
from tests.support.toy_pipeline import Toy
from workflow.dvc.stages import PipelineError
from workflow.snakemake.status_query import StatusQuery


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    made = Toy.make(tmp_path)
    monkeypatch.chdir(made.where)
    return made


def test_the_answer_names_all_that_was_never_run(toy: Toy) -> None:
    with StatusQuery(False, Path("logs/status.log")) as query:
        assert {"dataset", "train@gaitset", "report"} <= set(query.answer())


def test_what_makes_no_sense_to_dvc_is_reported_in_its_words(toy: Toy) -> None:
    toy.edit("stages:", "stages: [", "dvc.yaml")
    with StatusQuery(False, Path("logs/status.log")) as query, pytest.raises(PipelineError, match=r"dvc\.yaml"):
        query.answer()


@pytest.mark.parametrize("restoring", [False, True])
def test_nobody_waits_for_an_answer_that_is_no_longer_wanted(toy: Toy, restoring: bool) -> None:
    others = psutil.Process().children()  # such as a tracker of resources that another test left
    with pytest.raises(ZeroDivisionError), StatusQuery(restoring, Path("logs/status.log")):
        (asking,) = set(psutil.Process().children()) - set(others)
        raise ZeroDivisionError
    assert not asking.is_running()


def test_what_another_process_is_making_is_out_of_date(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(
        "stages:\n"
        "  made: {cmd: cp source made, deps: [source], outs: [made]}\n"
        "  copied: {cmd: cp made copied, deps: [made], outs: [copied]}\n"
        "  other: {cmd: cp source other, deps: [source], outs: [other]}\n"
    )
    (tmp_path / "source").write_text("x")
    run(["dvc", "init", "-q", "--no-scm"], tmp_path)
    run(["dvc", "repro"], tmp_path)

    def changed() -> list[str]:
        reached = environment() | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "workflow.dvc.status"]
        return subprocess.run(command, cwd=tmp_path, env=reached, capture_output=True, text=True, check=True).stdout.split()

    assert changed() == []
    maker = subprocess.Popen([sys.executable, "-c", "input()", "made"], stdin=subprocess.PIPE)
    listed = tmp_path / ".dvc/tmp/rwlock"
    said = json.dumps({"write": {str(tmp_path / "made"): {"pid": maker.pid, "cmd": "-c made"}}, "read": {}})
    listed.write_text(said)
    assert sorted(changed()) == ["copied", "made"]
    assert listed.read_text() == said
    maker.communicate(b"\n")
    assert changed() == []
