"""The precision best where the runtime has no mix of its own: the fastest of what was measured, and no other engine."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gaitpress import outputs, params
from gaitpress.commands.select import choice as selecting
from gaitpress.results.folders import Folders
from gaitpress.results.records import Row, load
from stages.report import report
from tests.support import commands
from tests.support.many_records import rates_of, record
from tests.support.toy import ROOT
from tracking import runs

pytestmark = pytest.mark.usefixtures("undrawn")

NO_MIX = "the runtime mixes no precisions"
FASTEST = {"fp32": (10.0, 90.0), "fp16": (8.0, 90.0), "int8": (4.0, 89.0)}  # ms, and mean rank-1 in %


class Study:
    """Records of one network on one device, each precision with its time and accuracy."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.records = Folders(where / "results")

    def write(self, figures: dict[str, tuple[float, float] | None], precisions: list[str] | None = None) -> params.Params:
        """params.yaml and the records, where None is a network that the runtime refused."""
        data = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        data |= {"devices": ["board-a"], "models": ["gaitset"], "precisions": precisions or [*figures, "best"]}
        data["prune"]["percentiles"] = [0]
        YAML().dump(data, self.where / "params.yaml")
        for precision, values in figures.items():
            self.edit(precision, **(self.failed("failed", "out of memory") if values is None else self.measured(*values)))
        self.edit("best", **self.failed("skipped", NO_MIX))
        return params.load(self.where / "params.yaml")

    def edit(self, precision: str, **values: Any) -> None:
        """Change a record, or write one."""
        name = f"board-a/gaitset/p0-{precision}.json"
        paths = self.records.benchmark / name, self.records.recognise / name
        before = self.ok(precision)
        if paths[0].exists():
            before = {key: value for path in reversed(paths) for key, value in json.loads(path.read_text()).items()}
            before["settings"] = before["settings"] | self.ok(precision)["settings"]
        made = before | values
        outputs.write_json(paths[1], rates_of(made))
        outputs.write_json(paths[0], made)

    @staticmethod
    def ok(precision: str) -> dict[str, Any]:
        made = (record(random.Random(seed), "board-a", "gaitset", 0, precision) for seed in range(99))
        return next(variant for variant in made if variant["valid"])

    @staticmethod
    def measured(ms: float, mean: float) -> dict[str, Any]:
        made = Study.ok("fp32")
        accuracy = made["accuracy"] | {"rank1": made["accuracy"]["rank1"] | {"mean": mean}}
        return {"latency_ms": made["latency_ms"] | {"p50": ms}, "ms_per_video_second": ms, "accuracy": accuracy}

    @staticmethod
    def failed(status: str, reason: str) -> dict[str, Any]:
        absent = dict.fromkeys(("latency_ms", "ms_per_video_second", "energy_mj_per_inference", "accuracy", "rank1_by_view"))
        reasons = {"reason": reason, "invalid_reasons": [reason], "energy_reason": reason}
        return {"status": status, "valid": False, **reasons, **absent, "sweep": []}


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


def best(study: Study, settings: params.Params) -> Row:
    return next(row for row in load(study.records, settings) if row.precision == "best")


def test_the_fastest_that_loses_no_more_than_it_may(study: Study) -> None:
    row = best(study, study.write(FASTEST))
    assert row.same_as is not None
    assert (row.same_as.key, row.verdict) == ("board-a/gaitset/p0-int8", "= int8")
    assert row.reasons == ["best = int8 (the fastest measured)"]
    assert not row.fronts | row.own_fronts
    assert "time" in row.same_as.fronts


def test_what_loses_too_much_is_left_out_and_named(study: Study) -> None:
    row = best(study, study.write(FASTEST | {"int8": (4.0, 87.9)}))
    assert row.verdict == "= fp16"
    assert row.reasons == [
        "best = fp16 (the fastest measured); int8 is left out: mean rank-1 is 2.1 points below that of fp32, more than "
        "report.max_loss = 2"
    ]
    assert best(study, study.write(FASTEST | {"int8": (4.0, 88.0)})).verdict == "= int8"  # the very limit is kept


def test_a_slow_lower_precision_is_not_the_best(study: Study) -> None:
    row = best(study, study.write({"fp32": (10.0, 90.0), "int8": (12.0, 90.0)}))
    assert row.reasons == ["best = fp32 (the fastest measured)"]


def test_of_two_as_fast_the_first_listed_is_taken(study: Study) -> None:
    assert best(study, study.write({"fp32": (4.0, 90.0), "int8": (4.0, 91.0)})).verdict == "= fp32"


def test_unstable_times_are_no_times(study: Study) -> None:
    settings = study.write(FASTEST)
    study.edit("int8", valid=False, invalid_reasons=["unstable: cov 0.4"])
    row = best(study, settings)
    assert row.reasons == ["best = fp16 (the fastest measured); int8 is left out: it is not valid (unstable: cov 0.4)"]
    # The accuracy of fp32 is what it is, however its times are.
    settings = study.write(FASTEST)
    study.edit("fp32", valid=False, invalid_reasons=["drift"])
    assert best(study, settings).verdict == "= fp16"


def test_a_missing_accuracy_is_never_good_enough(study: Study) -> None:
    settings = study.write(FASTEST)
    study.edit("int8", accuracy=None)
    assert best(study, settings).reasons == [
        "best = fp16 (the fastest measured); int8 is left out: its time or its accuracy is unknown"
    ]
    study.edit("fp32", accuracy=None)
    row = best(study, settings)
    assert (row.same_as, row.verdict) == (None, "skipped")
    assert row.reasons[0] == NO_MIX
    assert "fp16 is left out: how much it loses is unknown, for fp32 has no accuracy" in row.reasons[1]


def test_without_fp32_no_loss_is_known(study: Study) -> None:
    row = best(study, study.write({"int8": (4.0, 89.0)}))
    assert (row.same_as, row.verdict) == (None, "skipped")
    assert row.reasons == [
        NO_MIX,
        "none of the other precisions can be named as the best; int8 is left out: how much it loses is unknown, for fp32 is "
        "not among `precisions`",
    ]


def test_only_fp32_was_measured(study: Study) -> None:
    assert best(study, study.write({"fp32": (10.0, 90.0)})).reasons == ["best = fp32 (the only one measured)"]
    row = best(study, study.write({"fp32": (10.0, 90.0), "int8": None}))
    assert row.reasons == ["best = fp32 (the only one measured); int8 is left out: failed: out of memory"]
    row = best(study, study.write({"fp32": (10.0, 90.0)}, ["fp32", "fp16", "best"]))
    assert "fp16 is left out: missing: not measured yet: `dvc repro benchmark@board-a-gaitset-0-fp16`" in row.reasons[0]


def test_nothing_was_measured_but_best_itself(study: Study) -> None:
    row = best(study, study.write({}))
    assert row.reasons == [NO_MIX, "none of the other precisions can be named as the best"]


def test_a_mix_that_was_measured_is_an_engine_like_any_other(study: Study) -> None:
    settings = study.write(FASTEST)
    (study.records.benchmark / "board-a/gaitset/p0-best.json").unlink()
    study.edit("best", **study.measured(3.0, 89.5))
    row = best(study, settings)
    assert (row.same_as, row.choice, row.verdict) == (None, "", "Pareto-optimal")
    study.edit("best", **study.measured(3.0, 80.0))
    assert best(study, settings).verdict == "rejected"


def test_every_output_says_so_and_counts_one_engine(study: Study) -> None:
    settings = study.write(FASTEST)
    out = study.where / "report"
    text = report(study.where / "results", out, settings)
    line = next(line for line in text.splitlines() if "gaitset p0 best" in line)
    assert line.rstrip().endswith("= int8")
    assert not line.startswith("*")
    assert "4.00" in line
    assert "best = int8 (the fastest measured)" in text
    rows = {row["precision"]: row for row in csv.DictReader((out / "variants.csv").open())}
    same = ("rank1_mean", "latency_p50_ms", "rank1/nm", "most_per_s", "speedup", "engine_bytes", "measured_at", "people")
    assert {name: rows["best"][name] for name in same} == {name: rows["int8"][name] for name in same}
    own = ("same_as", "status", "valid", "pareto_optimal", "reasons")
    assert [rows["best"][name] for name in own] == [
        "int8", "skipped", "False", "False", "best = int8 (the fastest measured)"
    ]  # fmt: skip
    assert rows["int8"]["same_as"] == ""
    tex = (out / "variants.tex").read_text()
    assert "gaitset p0 best = int8 & " in tex
    assert "best = X: no other engine" in tex
    page = (out / "index.html").read_text(encoding="utf-8")
    assert 'data-precision="best" data-percentile="0" data-verdict="= int8"' in page
    assert "best = int8 (the fastest measured)" in page
    optimal = sum(row["pareto_optimal"] == "True" for row in rows.values())
    assert f"{optimal} of 3 variants are Pareto-optimal" in page
    assert json.loads((out / "metrics.json").read_text())["pareto_optimal"] == optimal
    assert "p0-best" not in json.loads((out / "variants.json").read_text())["board-a"]["gaitset"]


def test_mlflow_gets_a_run_without_figures_that_names_the_variant(study: Study, tmp_path: Path) -> None:
    settings = study.write(FASTEST)
    sources = Folders(tmp_path / "nothing")
    run = runs.described(best(study, settings), sources)
    assert (run.tags["same_as"], run.tags["reason"]) == ("int8", "best = int8 (the fastest measured)")
    assert (run.tags["precision"], run.params["precision"], run.failed, run.optimal) == ("best", "best", False, False)
    assert not {"rank1_mean", "latency_p50_ms", "ms_per_video_second"} & set(run.metrics)
    assert "best = int8 (the fastest measured)" in run.note
    # The same record, but another precision is the best now: another run.
    study.edit("int8", valid=False, invalid_reasons=["unstable"])
    assert runs.described(best(study, settings), sources).content_key != run.content_key


def test_select_takes_the_variant_itself_and_says_that_it_is_the_best(study: Study) -> None:
    settings = study.write(FASTEST)
    choice = selecting.choose(load(study.records, settings), selecting.Limits(max_latency=5.0))
    assert choice.best is not None
    assert choice.best.key == "board-a/gaitset/p0-int8"
    assert next(iter(choice.reasons.items())) == ("board-a/gaitset/p0-best", ["best = int8 (the fastest measured)"])
    words = ["--params", study.where / "params.yaml", "--results", study.where / "results", "--max-latency", "5ms"]
    done = commands.command("select", *words)
    assert done.returncode == 0, done.stderr
    assert "best: gaitset p0 int8 on board-a" in done.stdout
    assert "not board-a/gaitset/p0-best: best = int8 (the fastest measured)" in done.stdout
