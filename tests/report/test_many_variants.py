"""What a terminal gets of a study whose variants would fill it many times over."""

from __future__ import annotations

from pathlib import Path

import pytest

from gaitpress.results.folders import Folders
from gaitpress.results.records import load
from report.table import MANY
from stages.report import report
from tests.support import many_records

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.mark.slow
def test_a_terminal_gets_the_best_of_many_variants_and_the_file_has_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {"DEVICES": ("board-a", "board-b"), "MODELS": ("gaitset",), "PERCENTILES": range(MANY)}
    for name, value in few.items():
        monkeypatch.setattr(many_records, name, value)
    settings = many_records.study(tmp_path, one_machine=True)
    printed = report(tmp_path / "results", tmp_path / "report", settings)
    written = (tmp_path / "report/pareto.txt").read_text()
    rows = load(Folders(tmp_path / "results"), settings)
    for device in few["DEVICES"]:
        own = [row for row in rows if row.device == device]
        best = [row for row in own if row.optimal]
        assert f"and {len(own) - len(best)} variants that are not Pareto-optimal" in printed
    for row in rows:
        assert f" {row.name} " in written
    starred = [line for line in printed.splitlines() if line.startswith("*  ")]
    assert len(starred) == sum(row.optimal for row in rows) > 2
    assert len(printed.splitlines()) < 100 < len(written.splitlines())


def test_a_few_variants_are_all_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"DEVICES": ("board-a",), "MODELS": ("gaitset",), "PERCENTILES": range(MANY // 2)}
    for name, value in few.items():
        monkeypatch.setattr(many_records, name, value)
    settings = many_records.study(tmp_path)
    printed = report(tmp_path / "results", tmp_path / "report", settings)
    assert printed.startswith((tmp_path / "report/pareto.txt").read_text())
