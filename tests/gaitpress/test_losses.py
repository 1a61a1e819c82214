"""What compression costs each variant, by the command select and the report, on records that nobody measured."""

from __future__ import annotations

import csv
import json
import random
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from ruamel.yaml import YAML

from gait import paired
from gait.people import ByPerson
from gaitpress import outputs, params
from gaitpress.commands import select
from gaitpress.errors import StageError
from gaitpress.params.select import Select
from gaitpress.results.figures import MACS, SIZE
from gaitpress.results.folders import Folders
from gaitpress.results.records import Row, load
from gaitpress.results.words import lost_or_gained
from report import conclusion
from stages.report import report
from tests.support.many_records import rates_of, record
from tests.support.toy import ROOT

pytestmark = pytest.mark.usefixtures("undrawn")

PEOPLE, PROBES = 30, 12
# Of each variant: its latency in ms, and by how many hits each of the first people has fewer than with the dense network.
VARIANTS = {
    (0, "fp32"): (20.0, []),
    (0, "int8"): (10.0, [1]),
    (30, "fp32"): (8.0, [-1, 2, 1, 1]),
    (60, "fp32"): (4.0, [3] * 20),
}


class Said(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


class Study:
    """Records of one model on one device, all tested on the same people."""

    def __init__(self, where: Path) -> None:
        self.where, self.folders = where, Folders(where / "results")
        data = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        data |= {"devices": ["board-a"], "models": ["gaitset"], "precisions": ["fp32", "int8"]}
        data["prune"]["percentiles"] = [0, 30, 60]
        YAML().dump(data, where / "params.yaml")
        for (percentile, precision), (latency, fewer) in VARIANTS.items():
            self.write(percentile, precision, latency, fewer)

    def write(self, percentile: int, precision: str, latency: float, fewer: list[int]) -> None:
        seeds = (seed for seed in range(99) if record(random.Random(seed), "board-a", "gaitset", 0, "fp32")["valid"])
        made = record(random.Random(next(seeds)), "board-a", "gaitset", percentile, precision)
        made["latency_ms"] |= {"p50": latency, "p50_low": latency, "p50_high": latency}
        made["ms_per_video_second"] = latency
        rates = rates_of(made)
        counted = np.full((PEOPLE, 1, 1, 1), PROBES)
        hits = np.full(counted.shape, PROBES - 3)
        hits[: len(fewer), 0, 0, 0] -= np.array(fewer, int)
        people = ByPerson.of([str(n) for n in range(PEOPLE)], hits, counted)
        rates["accuracy"]["rank1"]["mean"] = people.mean
        name = f"board-a/gaitset/p{percentile}-{precision}.json"
        outputs.write_json(self.folders.benchmark / name, made)
        outputs.write_json(self.folders.recognise / name, {**rates, "rank1_by_person": people.to_json()})

    def edit(self, name: str, change: Any) -> None:
        path = self.folders.recognise / f"board-a/gaitset/{name}.json"
        rates = outputs.read_json(path)
        change(rates)
        outputs.write_json(path, rates)

    def choose_by(self, **section: Any) -> None:
        data = YAML(typ="safe", pure=True).load((self.where / "params.yaml").read_text(encoding="utf-8"))
        YAML().dump({**data, "select": section}, self.where / "params.yaml")

    @property
    def settings(self) -> params.Params:
        return params.load(self.where / "params.yaml")

    def rows(self) -> dict[str, Row]:
        return {row.short_name: row for row in load(self.folders, self.settings)}

    def select(self, *options: str) -> Said:
        """What the command prints, run in this process: it takes seconds to start another."""
        common = ["--params", str(self.where / "params.yaml"), "--results", str(self.folders.results)]
        out, error, code = StringIO(), StringIO(), 0
        with redirect_stdout(out), redirect_stderr(error), pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["select", *common, *options])
            try:
                select.main()
            except SystemExit as end:
                code = int(end.code or 0)
        return Said(code, out.getvalue(), error.getvalue())

    def report(self) -> Path:
        out = self.folders.results / "report"
        report(self.folders.results, out, self.settings)
        return out


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


def test_a_loss_is_against_the_dense_network_with_its_paired_interval(study: Study) -> None:
    rows = study.rows()
    dense = ByPerson.from_json(rows["p0 fp32"].by_person)
    for name, fewer in (("p0 int8", 1), ("p30 fp32", 3), ("p60 fp32", 60)):
        loss = rows[name].loss
        difference = paired.difference(dense, ByPerson.from_json(rows[name].by_person))
        assert loss.points == pytest.approx(100 * fewer / PEOPLE / PROBES)
        assert (loss.low, loss.high) == pytest.approx((difference.low, difference.high))
        assert loss.unknown == ""
    assert rows["p30 int8"].loss is None, "it is not measured"


def test_the_dense_network_differs_from_itself_for_nobody(study: Study) -> None:
    loss = study.rows()["p0 fp32"].loss
    assert (loss.points, loss.low, loss.high) == (0, 0, 0)


def test_without_limits_select_names_the_fastest_within_a_point(study: Study) -> None:
    said = study.select()
    assert said.returncode == 0, said.stderr
    lines = said.stdout.splitlines()
    assert lines[0] == "limits: max loss 1 point"
    assert lines[1].startswith("best: gaitset p30 fp32 on board-a")
    assert lines[2].startswith("  2.50× as fast as gaitset p0 fp32, loses 0.8 (")
    assert lines[2].endswith("): not surely within 1 point")
    assert "not board-a/gaitset/p60-fp32: loss against dense 16.67 points is above 1 point" in said.stdout
    assert said.stdout == study.select("--max-loss", "1").stdout


def test_the_strict_reading_takes_the_upper_end(study: Study) -> None:
    choice = json.loads(study.select("--max-loss", "1.5", "--sure", "--json").stdout)
    assert choice["variant"]["key"] == "board-a/gaitset/p0-int8"
    assert choice["variant"]["rank1_loss_high"] <= 1.5
    assert choice["variant"]["loss_surely_within"] is True
    assert choice["limits"]["sure"] is True
    assert study.select("--max-loss", "1.5", "--sure").stdout.startswith("limits: max loss 1.5 points for sure\n")
    assert choice["reasons"]["board-a/gaitset/p30-fp32"][0].startswith("upper end of the loss against dense ")
    assert "surely within 1.5 points" in study.select("--max-loss", "1.5", "--sure").stdout
    loose = json.loads(study.select("--max-loss", "1.5", "--json").stdout)["variant"]
    assert (loose["key"], loose["loss_surely_within"]) == ("board-a/gaitset/p30-fp32", False)


def test_no_loss_at_all_may_be_allowed(study: Study) -> None:
    choice = json.loads(study.select("--max-loss", "0", "--json").stdout)
    assert (choice["variant"]["key"], choice["variant"]["rank1_loss"]) == ("board-a/gaitset/p0-fp32", 0)
    assert "must be a number of points, 0 to 100" in study.select("--max-loss", "-1").stderr


def test_the_budget_of_params_yaml_counts_where_no_other_limit_is_given(study: Study) -> None:
    study.choose_by(max_loss=20, sure=True)
    assert "best: gaitset p60 fp32" not in study.select().stdout, "its interval reaches beyond 20"
    study.choose_by(max_loss=20)
    assert "best: gaitset p60 fp32" in study.select().stdout
    assert "best: gaitset p0 int8" in study.select("--max-latency", "10ms").stdout, "the most accurate"
    study.choose_by(max_loss=None)
    assert study.select().stdout.startswith("limits: none\nbest: gaitset p0 fp32")


def test_records_from_before_name_the_command_that_makes_them_anew(study: Study) -> None:
    for name in ("p0-fp32", "p30-fp32"):
        study.edit(name, lambda rates: rates.pop("rank1_by_person"))
    command = "`dvc repro recognise@board-a-gaitset-0-fp32 recognise@board-a-gaitset-30-fp32`"
    said = study.select()
    assert said.returncode == 0, said.stderr
    unknown = f"its interval is unknown (made before the hits of each person were kept: {command})"
    assert f"loses 0.8, not surely within 1 point: {unknown}" in said.stdout
    strict = study.select("--max-loss", "1", "--sure", "--all")
    assert f"upper end of the loss against dense unknown (made before the hits of each person were kept: {command})" in (
        strict.stdout
    )
    variant = json.loads(study.select("--json").stdout)["variant"]
    assert (variant["rank1_loss_high"], variant["loss_surely_within"]) == (None, False)
    assert command in variant["loss_interval_unknown"]
    assert command in " ".join((study.report() / "pareto.txt").read_text().split())


def test_what_cannot_be_compared_has_no_interval_and_says_why(study: Study) -> None:
    study.edit("p0-int8", lambda rates: rates.update(rank1_by_person=None))
    study.edit("p30-fp32", lambda rates: rates["rank1_by_person"].update(people="of others"))
    rows = study.rows()
    assert rows["p0 int8"].loss.unknown == "its protocol's mean rank-1 is not the mean of its hits"
    assert rows["p30 fp32"].loss.unknown.startswith("the two were tested on different walks: `dvc repro recognise@")
    assert rows["p30 fp32"].loss.high is None


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ((0.8, -0.2, 1.3), ("loses", "0.8", "\N{MINUS SIGN}0.2 to 1.3")),
        ((-1.4, -5.0, 2.6), ("gains", "1.4", "\N{MINUS SIGN}2.6 to 5.0")),
        ((-0.04, -0.5, 0.4), ("loses", "0.0", "\N{MINUS SIGN}0.5 to 0.4")),
        ((-2.0, None, None), ("gains", "2.0", "\N{EN DASH}")),
    ],
)
def test_a_loss_below_zero_is_a_gain(loss: tuple[float, float | None, float | None], said: tuple[str, str, str]) -> None:
    assert lost_or_gained(*loss) == said


def test_damaged_hits_are_reported_with_the_command(study: Study) -> None:
    study.edit("p30-fp32", lambda rates: rates["rank1_by_person"].update(hits="?"))
    with pytest.raises(
        StageError,
        match=r"rates of board-a/gaitset/p30-fp32: .*damaged .*`dvc repro -f -s recognise@board-a-gaitset-30-fp32`",
    ):
        study.select()


def test_the_conclusion_says_what_to_deploy_how_fast_it_is_and_what_it_costs(study: Study) -> None:
    rows = study.rows()
    chosen = rows["p30 fp32"]
    words = " ".join(conclusion.text(list(rows.values()), Select()).split())
    loss, rank1 = chosen.loss, chosen.rank1_interval
    ends = f"{loss.low:.1f} to {loss.high:.1f}".replace("-", "\N{MINUS SIGN}")
    assert words.startswith(
        f"On board-a deploy gaitset p30 fp32: of {len(rows)} variants it is the fastest within 1 point of mean rank-1 of "
    )
    times = r"A second of video takes [\d.]+ ms of computing, a query [\d.]+ ms \([\d.]+–[\d.]+\), "
    assert re.search(times + r"2\.50× as fast as gaitset p0 fp32\. ", words)
    assert f"It recognises {chosen.rank1:.1f} % ({rank1[0]:.1f}–{rank1[1]:.1f}) of the probes" in words
    ship = f" To ship it: python -m gaitpress bundle --variant {chosen.key} --out shipped/gait"
    assert words.endswith(f"; loses 0.8 ({ends}): not surely within 1 point.{ship}")
    assert "python -m gaitpress select" in conclusion.text(list(rows.values()), Select(max_loss=None))
    sure = " ".join(conclusion.text(list(rows.values()), Select(sure=True)).split())
    assert "deploy gaitset p0 fp32" in sure and "the dense network itself" in sure
    assert "as fast as" not in sure


def test_the_conclusion_of_invalid_times_names_the_smallest_within_the_budget(study: Study) -> None:
    rows = [replace(row, record={**row.record, "valid": False}) for row in study.rows().values()]
    words = " ".join(conclusion.text(rows, Select()).split())
    assert "On board-a no variant within 1 point of mean rank-1 of the dense network has valid times" in words
    assert "raise benchmark.session in params.yaml" in words
    kept = [row for row in rows if row.loss is not None and row.loss.points <= 1]
    smallest = min(kept, key=lambda row: (MACS.of(row), SIZE.of(row)))
    assert words.endswith(f"By rank-1 alone, the smallest within it: {smallest.name}.")


def test_the_report_answers_at_its_head_and_has_the_loss_in_every_table(study: Study) -> None:
    out = study.report()
    loss = study.rows()["p30 fp32"].loss
    ends = f"{loss.low:.1f} to {loss.high:.1f}".replace("-", "\N{MINUS SIGN}")
    page = (out / "index.html").read_text(encoding="utf-8")
    head = page[: page.index("<main>")]
    assert "Fastest within 1 point of mean rank-1 of the dense network" in head
    costs = f"2.50× as fast as gaitset p0 fp32, loses 0.8 ({ends}): not surely within 1 point"
    assert f"<strong>gaitset p30 fp32</strong>, {costs}." in head
    assert f"<small>{ends}</small>" in page[page.index('id="variants-table"') :]
    assert f"gaitset p30 fp32, {costs}" in (out / "pareto.txt").read_text(encoding="utf-8")
    lines = {(row["percentile"], row["precision"]): row for row in csv.DictReader((out / "variants.csv").open())}
    line = lines["30", "fp32"]
    assert [float(line[name]) for name in ("rank1_loss", "rank1_loss_low", "rank1_loss_high")] == [
        loss.points, loss.low, loss.high
    ]  # fmt: skip
    assert lines["30", "int8"]["rank1_loss"] == ""
    latex_ends = ends.replace("\N{MINUS SIGN}", "$-$")
    assert f"& 0.8 & [{latex_ends}] &" in (out / "variants.tex").read_text(encoding="utf-8")


def test_the_report_keeps_to_the_budget_of_params_yaml(study: Study) -> None:
    study.choose_by(max_loss=1.5, sure=True)
    head = (study.report() / "index.html").read_text(encoding="utf-8").split("<main>")[0]
    assert "Fastest within 1.5 points of mean rank-1, for sure, of the dense network" in head
    assert "<strong>gaitset p0 int8</strong>" in head
    study.choose_by(max_loss=None)
    assert "Fastest" not in (study.report() / "index.html").read_text(encoding="utf-8").split("<main>")[0]
