"""The report of real records, and of records that somebody tampered with."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name

from gait.evaluation import open_set
from gaitpress import outputs
from gaitpress.commands.bundle.card import card as model_card
from gaitpress.commands.select import choice as selecting
from gaitpress.errors import StageError
from gaitpress.results import records
from gaitpress.results.folders import Folders
from gaitpress.results.pareto import front
from gaitpress.results.work import POINTS, curve, curves
from report import latex
from report.points import MOST_ACCEPTED, error_curve
from stages.report import report
from tests.support import commands
from tests.support.device_world import World
from tests.support.families import some
from tracking import runs

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def world(measured_world: World, tmp_path: Path) -> World:
    """Two variants whose times are valid, however busy this machine is; the records may be changed."""
    copy = measured_world.copy(tmp_path)
    for percentile in (0, 50):
        edit(copy, percentile, valid=True, invalid_reasons=[])
    return copy


def edit(world: World, percentile: float, **values: Any) -> None:
    world.keep(percentile, {**world.joined(percentile), **values})


def write(world: World) -> Path:
    out = world.where / "results/report"
    report(world.where / "results", out, world.settings)
    return out


def test_the_page_says_where_the_time_of_each_engine_goes(world: World) -> None:
    for percentile, first in ((0, 3.0), (50, 1.0)):
        nodes = [("/frame1/conv/Conv", "Conv", first), ("/MaxPool_1", "MaxPool", 0.5), ("/fc/MatMul", "MatMul", 0.25)]
        edit(world, percentile, nodes=[{"name": name, "op": op, "ms": ms} for name, op, ms in nodes])
        place = world.records.prune / f"gaitset/p{percentile}"
        place.mkdir(parents=True)
        unknown = {f"{what}_{when}": None for what in ("filters", "params", "macs") for when in ("before", "after")}
        rows = [
            {"layer": name, "threshold": None, "spared": False, "tied_to": [], **unknown}
            for name in ("frame1", "fc", "gone")
        ]
        outputs.write_json(place / "pruning.json", {"table": rows})
    page = (write(world) / "index.html").read_text(encoding="utf-8")
    start = page.index("Where the time goes")
    table = page[start : page.index("</table>", start)]
    assert re.findall(r"<th>(p\d+ \w+)</th>", table) == ["p0 fp32", "p50 fp32"]
    lines = {
        name: re.findall(r'<td style="--share: ([\d.]+)" title="([^"]*)">([^<]*)<', cells)
        for name, cells in re.findall(r"<tr><th>([^<]+)</th>(.*?)</tr>", table)
        if name != "layer"
    }
    times = {name: [text for _, _, text in cells] for name, cells in lines.items()}
    assert times == {
        "frame1": ["3.00", "1.00"], "fc": ["0.250", "0.250"], "all else": ["0.500", "0.500"], "sum": ["3.75", "1.75"]
    }  # fmt: skip
    assert lines["frame1"][0][:2] == ("0.8", "80% of the engine&#39;s time")
    assert lines["all else"][0][1] == "MaxPool 0.5 ms"


COSTS_AND_GAINS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12)


@given(COSTS_AND_GAINS)
def test_the_front_holds_exactly_the_points_that_none_beats(points: list[tuple[int, int]]) -> None:
    def beaten(one: tuple[int, int]) -> bool:
        return any(cost <= one[0] and gain >= one[1] and (cost, gain) != one for cost, gain in points)

    positions = front(points)
    assert sorted(positions) == [position for position, point in enumerate(points) if not beaten(point)]
    assert [points[position][0] for position in positions] == sorted(points[position][0] for position in positions)


def test_the_report_is_a_page_a_picture_a_table_and_figures(world: World, drawn: None) -> None:
    out = write(world)
    pictures = {f"{name}.{kind}" for name in ("pareto", "staircase") for kind in ("png", "svg")}
    names = {"index.html", "pareto.txt", "conclusion.txt", "metrics.json"} | pictures
    names |= {f"variants.{kind}" for kind in ("csv", "tex", "json")}
    assert {path.name for path in out.iterdir()} == names
    assert all((out / name).read_bytes().startswith(b"\x89PNG") for name in pictures if name.endswith("png"))
    assert all("<svg" in (out / name).read_text(encoding="utf-8") for name in pictures if name.endswith("svg"))
    figures = json.loads((out / "variants.json").read_text())["local"]["gaitset"]
    metrics = json.loads((out / "metrics.json").read_text())
    assert (metrics["variants"], metrics["ok"], metrics["missing"]) == (2, 2, 0)
    rows = list(csv.DictReader((out / "variants.csv").open()))
    assert [(row["model"], row["percentile"]) for row in rows] == [("gaitset", "0"), ("gaitset", "50")]
    for row in rows:
        record = world.joined(int(row["percentile"]))
        assert float(row["latency_p50_ms"]) == record["latency_ms"]["p50"]
        assert float(row["rank1_mean"]) == record["accuracy"]["rank1"]["mean"]
        assert row["distance"] == record["accuracy"]["distance"] == "euclidean"
        assert figures[f"p{row['percentile']}-fp32"]["rank1_mean"] == record["accuracy"]["rank1"]["mean"]


def test_how_fast_other_batches_are_is_shown(world: World) -> None:
    sweep = [
        {"batch": 1, "latency_ms": 4.0, "inferences_per_s": 250.0, "cov": 0.1, "queries": 9, "reason": None},
        {"batch": 4, "latency_ms": 8.0, "inferences_per_s": 500.0, "cov": 0.1, "queries": 9, "reason": None},
        {"batch": 8, "latency_ms": None, "inferences_per_s": None, "cov": None, "queries": 0, "reason": "out of memory"},
    ]
    edit(world, 50, sweep=sweep)
    out = write(world)
    [row] = [row for row in csv.DictReader((out / "variants.csv").open()) if row["percentile"] == "50"]
    assert (row["most_per_s"], row["most_per_s_batch"]) == ("500.0", "4")
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "batch 1: 4.00 ms, 250 inferences/s; batch 4: 8.00 ms, 500 inferences/s; batch 8: out of memory" in page


def test_data_and_evidence_are_shown_everywhere(world: World) -> None:
    out = write(world)
    for name in ("index.html", "pareto.txt"):
        text = " ".join((out / name).read_text(encoding="utf-8").split())
        assert "synthetic data" in text
        assert "not on a board" in text
    assert all(row["data"] == "synthetic" for row in csv.DictReader((out / "variants.csv").open()))


def test_how_rank1_was_measured_is_shown_for_a_protocol_whose_file_is_gone_too(world: World) -> None:
    accuracy = world.joined(50)["accuracy"]
    assert "over all pairs of different views" in (write(world) / "index.html").read_text()
    edit(world, 50, accuracy={**accuracy, "protocol": "by-carrying"})
    page = (write(world) / "index.html").read_text()
    assert "by protocol by-carrying; over all pairs of different views" in page


@pytest.mark.slow
def test_measures_of_retrieval_are_shown_where_a_record_has_them(world: World) -> None:
    assert "mAP" not in (write(world) / "index.html").read_text(encoding="utf-8")
    rates = {"mAP": {"mean": 71.42, "conditions": {}}, "mINP": {"mean": 33.33, "conditions": {}}}
    edit(world, 0, accuracy={**world.joined(0)["accuracy"], **rates})
    out = write(world)
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "mAP (%)" in page
    assert "mINP (%)" in page
    assert '<td data-v="71.42">71.4</td>' in page
    with (out / "variants.csv").open(encoding="utf-8") as file:
        dense, pruned = csv.DictReader(file)
    assert (dense["mean_average_precision"], dense["mean_inverse_penalty"]) == ("71.42", "33.33")
    assert pruned["mean_average_precision"] == ""


def row_of(rates: dict[str, Any] | None) -> records.Row:
    return records.Row("local", "gaitset", 0, "fp32", Path("record.json"), {"accuracy": {"open_set": rates}})


@given(st.integers(0, 99), st.integers(4, 300), st.floats(-1, 4))
def test_an_error_curve_has_only_rates_that_so_many_walks_can_show(seed: int, walks: int, apart: float) -> None:
    rng = np.random.default_rng(seed)
    right, wrong = (rng.normal(at, 1, walks).astype(np.float32) for at in (10, 10 + apart))
    rates = open_set.rates(open_set.Trials(np.arange(walks), right, wrong, walks))
    curve = error_curve(row_of(rates))
    assert curve is not None
    assert curve.far == sorted(set(curve.far))
    assert curve.frr == sorted(curve.frr, reverse=True)
    for far, frr in zip(curve.far, curve.frr, strict=True):
        assert 100 / walks - 0.001 <= far <= max(MOST_ACCEPTED, rates["eer"]) + 0.001
        assert 0 < frr < 100
        if far == frr == curve.eer:
            continue
        accepted = round(far * walks / 100)
        assert far == pytest.approx(100 * accepted / walks, abs=1e-3)
        limit = np.sort(wrong)[accepted]
        assert frr == pytest.approx(100 * (1 - np.mean((right < limit) & (right < wrong))), abs=1e-3)
    assert (curve.eer is None) == (not 100 / walks <= rates["eer"] <= 100 - 100 / walks)


def test_whoever_makes_no_error_has_no_line() -> None:
    people = np.arange(20)
    perfect = open_set.rates(open_set.Trials(people, np.ones(20, np.float32), 2 + people.astype(np.float32), 20))
    curve = error_curve(row_of(perfect))
    assert (curve.far, curve.frr, curve.eer) == ([], [], None)


@pytest.mark.slow
def test_the_page_has_error_curves_where_records_have_them(world: World) -> None:
    def page(rates: dict[str, Any] | None) -> str:
        for percentile in (0, 50):
            edit(world, percentile, accuracy={**world.joined(percentile)["accuracy"], "open_set": rates})
        return (write(world) / "index.html").read_text(encoding="utf-8")

    people = np.arange(20)
    wrong = 2 + people.astype(np.float32)
    perfect, faulty = (
        open_set.rates(open_set.Trials(people, right.astype(np.float32), wrong, 20)) for right in (np.ones(20), wrong - 0.5)
    )
    none = page(None)
    assert "The records say nothing of them" in none
    assert 'data-kind="det"' not in none
    older = page({key: value for key, value in faulty.items() if key != "det"})
    assert '<table id="strangers">' in older
    assert 'data-kind="det"' not in older
    without = page(perfect)
    assert '"det/local":null' in without
    assert "2 variants have no line: no threshold makes errors of both kinds" in without
    drawn = page(faulty)
    assert '"det/local":{' in drawn
    assert "5 % of 20 walks of strangers, 5 % of 20 of enrolled people" in drawn
    assert "have no line" not in drawn


def test_the_table_is_aligned_and_fits_a_terminal(world: World) -> None:
    text = (write(world) / "pareto.txt").read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 110
    lines = [line for line in text.partition("Fastest within")[0].splitlines() if "gaitset p" in line]
    assert len(lines) == 2
    head = next(line for line in text.splitlines() if "p50 ms" in line)
    for column in ("NM", "BG", "CL", "p50 ms", "ms/video s"):
        end = head.index(column) + len(column)
        assert all(line[end - 1] != " " and line[end : end + 1] in ("", " ") for line in lines)


def test_the_latex_table_has_every_measured_variant_and_says_of_what_it_is_evidence(world: World) -> None:
    edit(world, 50, valid=False, invalid_reasons=["unstable"])
    lines = (write(world) / "variants.tex").read_text(encoding="utf-8").splitlines()
    columns = next(line for line in lines if line.startswith(r"\begin{tabular}")).count("r")  # also those of "tabular"
    cells = [line.removesuffix(r" \\").split(" & ") for line in lines if line.endswith(r" \\")]
    assert {len(line) for line in cells} == {columns}
    p50 = f"{world.joined(0)['latency_ms']['p50']:#.3g}"
    assert [line[0] for line in cells] == ["variant", r"\textbf{gaitset p0 fp32}", r"gaitset p50 fp32$^\dagger$"]
    assert cells[1][-5] == p50
    caption = next(line for line in lines if line.startswith(r"\caption"))
    assert "synthetic data" in caption
    assert "not on a board" in caption
    assert re.search(r"95 \\%.*\\dagger", caption)


@given(st.text())
def test_no_text_means_anything_to_latex(text: str) -> None:
    rest = latex.escaped(text)
    for command in (r"\textbackslash{}", r"\textasciitilde{}", r"\textasciicircum{}", *(rf"\{sign}" for sign in "&%$#_{}")):
        rest = rest.replace(command, "")
    assert not set(rest) & set("&%$#_{}~^\\")


def test_a_failed_variant_is_listed_with_its_reason_and_on_no_front(world: World) -> None:
    absent = {"latency_ms": None, "accuracy": None, "ms_per_video_second": None, "valid": False}
    edit(world, 0, status="failed", reason="no kernel for Teleport", invalid_reasons=["x"], **absent)
    out = write(world)
    assert "no kernel for Teleport" in (out / "index.html").read_text(encoding="utf-8")
    assert "no kernel for Teleport" in (out / "pareto.txt").read_text(encoding="utf-8")
    rows = {row["percentile"]: row for row in csv.DictReader((out / "variants.csv").open())}
    assert (rows["0"]["pareto_optimal"], rows["50"]["pareto_optimal"]) == ("False", "True")
    assert rows["50"]["speedup"] == ""


def test_invalid_times_are_on_no_front_whatever_they_are(world: World) -> None:
    edit(world, 50, valid=False, invalid_reasons=["unstable"], ms_per_video_second=1e-9)
    rows = {row.percentile: row for row in records.load(world.records, world.settings)}
    assert (rows[0].optimal, rows[50].optimal, rows[50].verdict) == (True, False, "invalid")


def with_mean(record: dict[str, Any], rate: float) -> dict[str, Any]:
    """The accuracy of a record with another mean rank-1."""
    accuracy = record["accuracy"]
    return {**accuracy, "rank1": {**accuracy["rank1"], "mean": rate}}


@pytest.mark.parametrize(
    ("p50", "rank1", "verdict", "reason"),
    [
        (5.0, 88.5, "Pareto-optimal", None),
        (10.5, 90.0, "rejected", "slower than fp32: 10.5, not 10 ms"),
        (5.0, 87.0, "rejected", "mean rank-1 is 3.0 points below that of fp32, more than report.max_loss = 2"),
    ],
)
def test_int8_that_is_slower_or_loses_too_much_is_marked_and_never_chosen(
    world: World, p50: float, rank1: float, verdict: str, reason: str | None
) -> None:
    def figures(ms: float, rate: float) -> dict[str, Any]:
        old = world.joined(0)
        return {"latency_ms": {**old["latency_ms"], "p50": ms}, "ms_per_video_second": ms, "accuracy": with_mean(old, rate)}

    edit(world, 0, **figures(10.0, 90.0))
    edit(world, 50, valid=False, invalid_reasons=["unstable"])
    record = world.joined(0)
    record |= {"variant": record["variant"] | {"precision": "int8"}, **figures(p50, rank1)}
    world.keep(0, record)
    settings = world.settings.model_copy(update={"precisions": ["fp32", "int8"]})
    (int8,) = (row for row in records.load(world.records, settings) if row.name == "gaitset p0 int8")
    assert (int8.verdict, int8.reasons, int8.valid) == (verdict, [reason] if reason else [], True)
    loosest = selecting.Limits(max_latency=5.0)
    chosen = selecting.choose([int8], loosest)
    assert (chosen.best is int8) == (reason is None)
    assert reason is None or chosen.reasons == {int8.key: [f"rejected: {reason}"]}
    out = world.where / "results/report"
    report(world.where / "results", out, settings)
    (line,) = (
        row
        for row in csv.DictReader((out / "variants.csv").open())
        if row["precision"] == "int8" and row["percentile"] == "0"
    )
    assert line["reasons"] == (reason or "")


def test_speed_ups_are_those_of_the_median_against_unpruned_fp32(world: World) -> None:
    for percentile, p50 in ((0, 6.0), (50, 2.0)):
        edit(world, percentile, latency_ms={**world.joined(percentile)["latency_ms"], "p50": p50})
    assert {row.percentile: row.speedup for row in records.load(world.records, world.settings)} == {0: 1.0, 50: 3.0}


def test_hostile_text_in_a_record_stays_text(world: World) -> None:
    hostile = "<script>alert(1)</script><img src=http://example.org/x onerror=alert(2)>"
    hostile += r" $\frac$"  # which matplotlib refuses where it looks for formulas
    edit(world, 0, valid=False, invalid_reasons=[hostile])
    device = {**world.joined(50)["device"], "cpu": hostile, "runtime_version": hostile}
    edit(world, 50, device=device)
    page = (write(world) / "index.html").read_text(encoding="utf-8")
    assert "alert(1)" in page
    assert not re.search(r"<script>alert|<img src=http", page)


def test_a_variant_without_a_record_is_reported_and_leftovers_are_not(world: World) -> None:
    shutil.copy(world.record(0), world.records.benchmark / "local/gaitset/p99-fp32.json")
    (world.records.benchmark / "local/gaitset/p98-fp32.json").write_text("junk")
    world.record(50).unlink()
    text = (write(world) / "pareto.txt").read_text(encoding="utf-8")
    assert "`dvc repro benchmark@local-gaitset-50-fp32`" in text
    assert "p99" not in text


@pytest.mark.parametrize("content", some(["{", "[]", '{"status": "ok"}', None], "{", '{"status": "ok"}'))
def test_a_damaged_record_is_one_line_that_names_it_and_the_old_report_stays(world: World, content: str | None) -> None:
    out = write(world)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    if content is None:
        shutil.copy(world.record(0), world.record(50))  # the record of another variant
    else:
        world.record(50).write_text(content)
    done = commands.stage("report", "--params", world.params, "--results", world.where / "results", "--out", out)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {world.record(50)}")
    assert len(done.stderr.splitlines()) == 1
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_no_record_at_all_is_reported(world: World) -> None:
    shutil.rmtree(world.records.benchmark)
    with pytest.raises(StageError, match="holds no record"):
        write(world)


@pytest.mark.parametrize("precision", ["int8", "fp16"])
@pytest.mark.parametrize("unstable", ["fp32", "lower", "both"])
def test_accuracy_is_compared_whatever_the_times_are(world: World, precision: str, unstable: str) -> None:
    doubt = {"valid": False, "invalid_reasons": ["unstable"]}
    record = world.joined(0)
    edit(world, 0, accuracy=with_mean(record, 90.0), **(doubt if unstable in ("fp32", "both") else {}))
    record |= {"variant": record["variant"] | {"precision": precision}, "accuracy": with_mean(record, 81.7)}
    record |= {"ms_per_video_second": 0.001, "latency_ms": {**record["latency_ms"], "p50": 0.001}}
    record |= doubt if unstable in ("lower", "both") else {}
    world.keep(0, record)
    settings = world.settings.model_copy(update={"precisions": ["fp32", precision]})
    rows = records.load(world.records, settings)
    (lower,) = (row for row in rows if row.percentile == 0 and row.precision == precision)
    loss = "mean rank-1 is 8.3 points below that of fp32, more than report.max_loss = 2"
    assert lower.drawbacks == (loss,)
    assert lower.verdict == ("rejected" if unstable == "fp32" else "invalid")
    assert not lower.fronts and not lower.own_fronts
    assert selecting.choose([lower], selecting.Limits(max_latency=5.0)).best is None


def test_times_that_are_not_valid_reject_nothing(world: World) -> None:
    record = world.joined(0)
    slower = {**record["latency_ms"], "p50": 10 * record["latency_ms"]["p50"]}
    edit(world, 0, valid=False, invalid_reasons=["unstable"])
    record |= {"variant": record["variant"] | {"precision": "int8"}, "latency_ms": slower}
    world.keep(0, record)
    rows = records.load(world.records, world.settings.model_copy(update={"precisions": ["fp32", "int8"]}))
    (int8,) = (row for row in rows if row.name == "gaitset p0 int8")
    assert (int8.drawbacks, int8.valid) == ((), True)


NAMES = ["speed", "speed_low", "speed_high", "mean", "mean-1", "people", "nm", "Überholt", "a b", "100%", "~x", ":7Ex"]


def test_no_name_of_a_condition_is_taken_for_another_figure(world: World) -> None:
    record = world.joined(50)
    conditions = {
        name: {"rate": float(number), "interval": [number - 0.5, number + 0.5], "people": number, "probes": 2 * number}
        for number, name in enumerate(NAMES, start=1)
    }
    whole = {"mean": 77.0, "interval": [70.0, 80.0], "people": 30, "probes": 60}
    edit(world, 50, accuracy={**record["accuracy"], "rank1": {**whole, "conditions": conditions}})
    out = write(world)
    (line,) = (row for row in csv.DictReader((out / "variants.csv").open(encoding="utf-8")) if row["percentile"] == "50")
    assert (line["rank1_mean"], line["rank1_mean_low"], line["rank1_mean_high"]) == ("77.0", "70.0", "80.0")
    assert (line["people"], line["probes"]) == ("30", "60")
    for number, name in enumerate(NAMES, start=1):
        figures = [line[f"{figure}/{name}"] for figure in ("rank1", "rank1_low", "rank1_high", "people", "probes")]
        assert figures == [str(value) for value in (float(number), number - 0.5, number + 0.5, number, 2 * number)]
    (row,) = (row for row in records.load(world.records, world.settings) if row.percentile == 50)
    metrics = runs.described(row, Folders(world.where)).metrics
    assert (metrics["rank1_mean"], metrics["rank1_mean_low"], metrics["rank1_people"]) == (77.0, 70.0, 30.0)
    rates = [value for name, value in metrics.items() if name.startswith("rank1/")]
    assert sorted(rates) == [float(number) for number in range(1, len(NAMES) + 1)]
    for name in metrics:
        _validate_metric_name(name)
    card = model_card(row, {"bytes": 1}, None)
    assert "| mean | 77.0 | 70.0–80.0 | 30 | 60 |" in card
    for number, name in enumerate(NAMES, start=1):
        assert f"| {name.upper()} | {number:.1f} | {number - 0.5:.1f}–{number + 0.5:.1f} | {number} | {2 * number} |" in card


@pytest.mark.slow
def test_the_same_records_give_the_same_files(world: World, drawn: None) -> None:
    first = {path.name: path.read_bytes() for path in write(world).iterdir()}
    assert {path.name: path.read_bytes() for path in write(world).iterdir()} == first


def test_energy_and_size_have_fronts_of_their_own(world: World) -> None:
    record = world.joined(0)
    edit(world, 0, energy_mj_per_inference=5.0, ms_per_video_second=9.0, accuracy=with_mean(record, 90.0))
    edit(world, 50, energy_mj_per_inference=7.0, ms_per_video_second=3.0, accuracy=with_mean(record, 80.0))
    rows = {row.percentile: row for row in records.load(world.records, world.settings)}
    assert "energy" in rows[0].fronts
    assert "energy" not in rows[50].fronts
    assert "time" in rows[0].fronts & rows[50].fronts


def test_energy_that_was_not_measured_is_on_no_front(world: World) -> None:
    edit(world, 0, energy_mj_per_inference=None)
    edit(world, 50, energy_mj_per_inference=None)
    assert all("energy" not in row.fronts for row in records.load(world.records, world.settings))
    assert "not available" in (write(world) / "index.html").read_text(encoding="utf-8")


def test_curves_are_those_of_the_listed_percentiles(world: World) -> None:
    where = Folders(world.where / "results")
    for place in (where.train / "gaitset", *(where.finetune / f"gaitset/p{p}" for p in (0, 50, 99))):
        outputs.write_json(place / "history.json", [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0, "val_loss": 3.0}])
    shown = curves(where, world.settings)
    assert [training.name for training in shown] == ["training", "fine-tuning, p0", "fine-tuning, p50"]
    assert shown[0].metrics == {"loss": [[1, 2.0], [2, 1.0]], "val_loss": [[2, 3.0]]}
    assert shown[0].counter == "epoch"


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=900))
def test_long_curves_are_averaged_and_stay_within_their_values(values: list[float]) -> None:
    points = curve("gaitset", "training", [{"iteration": n, "loss": value} for n, value in enumerate(values)]).metrics[
        "loss"
    ]
    assert len(points) <= POINTS
    assert points[-1][0] == len(values)
    rounding = 1e-4 * max(map(abs, values))
    assert all(min(values) - rounding <= value <= max(values) + rounding for _, value in points)
