"""The report's page in a real browser, with 500 variants and with 12."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gaitpress import outputs
from gaitpress.results.folders import Folders
from gaitpress.results.records import load
from stages.report import report
from tests.support import many_records
from tests.support.browser import PROGRAM, Browser
from tests.support.families import some
from tests.support.many_records import study

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium to open pages with")

SHOWN = "[...document.querySelectorAll('#variants-table tbody')].filter((body) => !body.hidden)"
FIRST = "document.querySelector('figure[data-kind=pareto]')"
POINTS = f"{FIRST}.querySelectorAll('.mark-symbol.points path').length"
DRAWN = f"{FIRST}.dataset.drawn !== undefined"
DET = "document.querySelector('figure[data-kind=det]')"
LINES = f"{DET}.querySelectorAll('.mark-line.lines path').length"
EQUAL = f"{DET}.querySelectorAll('.mark-symbol.points path').length"


def watched(results: Path) -> dict[str, Any]:
    """A record of live recognition, as watch-study writes it."""
    cell = {"people": 4, "frames": 340, "frames_dropped": 510, "frames_per_s": 9.7, "source_fps": 25.0, "seconds": 34.0}
    cell |= {"cpu_s": 51.0, "windows": 13, "windows_dropped": 2, "latency_ms": {"median": 428.4, "p99": 542.2}}
    cell |= {"share": {"masks": 0.5, "tracks": 0.25, "network": 0.25, "drawing": 0.0}}
    engine = json.loads((results / "benchmark/board-a/gaitset/p2-fp32.json").read_text())["engine"]
    known = {"engine": engine, "evidence": "real-device", "machine": "a board", "measured_at": "2026-01-02T03:04:05+00:00"}
    return {**known, "cells": [cell, {**cell, "people": 8}]}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a study of 500 variants, with one training and one pruned model."""
    where = tmp_path_factory.mktemp("study")
    settings = study(where)
    results = where / "results"
    history = [{"iteration": n + 1, "loss": 1 / (n + 1), "lr": 1e-3} for n in range(1000)]
    outputs.write_json(results / "train/gaitset/history.json", history)
    layer = {"layer": "frame1", "filters_before": 8, "filters_after": 4, "params_before": 80, "params_after": 40}
    layer |= {"macs_before": 10**6, "macs_after": 5 * 10**5, "threshold": 0.1, "spared": False, "tied_to": []}
    totals = {key: value for key, value in layer.items() if key.endswith(("_before", "_after"))}
    pruned = {"percentile": 2, "warnings": ["frame1: has collapsed"], "table": [layer], "totals": totals}
    outputs.write_json(results / "prune/gaitset/p2/pruning.json", pruned)
    outputs.write_json(results / "watch/board-a/gaitset/p2-fp32.json", watched(results))
    start = time.process_time()
    report(results, results / "report", settings)
    assert time.process_time() - start < 15, "the report is made again after every measurement, so it must be cheap"
    return results / "report"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def page(browser: Browser, out: Path) -> Browser:
    browser.faults.clear()
    browser.requests.clear()
    browser.open(out / "index.html")
    browser.wait_for(DRAWN)
    return browser


def test_it_is_small_draws_everything_and_asks_for_nothing(page: Browser, out: Path) -> None:
    assert (out / "index.html").stat().st_size < 5e6
    page.wait_for(f"{POINTS} > 200")
    for number in range(page.evaluate("document.querySelectorAll('figure[data-chart]').length")):
        figure = f"document.querySelectorAll('figure[data-chart]')[{number}]"
        page.evaluate(f"{figure}.scrollIntoView()")
        page.wait_for(f"{figure}.dataset.drawn !== undefined")
    assert page.faults == []
    assert page.requests == [(out / "index.html").resolve().as_uri()]


def test_a_page_that_asks_for_something_would_be_noticed(page: Browser) -> None:
    page.evaluate("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))")
    page.wait_for("true")
    assert any("Content Security Policy" in fault for fault in page.faults)


def test_charts_show_every_measured_variant_and_hollow_ones_are_invalid(page: Browser, out: Path) -> None:
    rows = [row for row in json.loads(page.evaluate("document.getElementById('variants').textContent"))]
    measured = [row for row in rows if row["device"] == "board-a" and row["time"] is not None]
    assert page.evaluate(POINTS) == len(measured)
    hollow = (
        f"[...{FIRST}.querySelectorAll('.mark-symbol.points path')].filter((p) => p.getAttribute('fill') === 'white').length"
    )
    assert page.evaluate(hollow) == sum(not row["valid"] for row in measured) > 0


@pytest.mark.parametrize("cost", some(["energy", "size"], "energy"))
def test_the_other_costs_are_a_choice_away(page: Browser, cost: str) -> None:
    page.evaluate(f"{FIRST}.querySelector('input[value={cost}]').click()")
    page.wait_for(f"{FIRST}.dataset.drawn === 'pareto/board-a/{cost}'")
    rows = json.loads(page.evaluate("document.getElementById('variants').textContent"))
    assert page.evaluate(POINTS) == sum(row["device"] == "board-a" and row[cost] is not None for row in rows)
    assert page.faults == []


def choose(page: Browser, name: str, value: str) -> None:
    page.evaluate(
        f"(() => {{ const field = document.querySelector('#filters [name={name}]'); field.value = {json.dumps(value)};"
        " field.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


def test_filters_choose_what_the_table_and_the_charts_show(page: Browser) -> None:
    assert page.evaluate(f"{SHOWN}.length") == 500
    choose(page, "model", "gaitgl")
    choose(page, "precision", "int8")
    assert page.evaluate(f"{SHOWN}.length") == 50
    assert page.evaluate("document.getElementById('count').textContent") == "50 of 500 variants"
    assert page.evaluate(f"{SHOWN}.every((body) => body.dataset.model === 'gaitgl' && body.dataset.precision === 'int8')")
    page.wait_for(f"{POINTS} <= 25")
    assert page.evaluate(POINTS) > 15
    choose(page, "text", "throttled")
    few = page.evaluate(f"{SHOWN}.map((body) => body.textContent)")
    assert 0 < len(few) < 50
    assert all("throttled" in text for text in few)
    page.evaluate("document.querySelector('#filters button').click()")
    page.wait_for(f"{SHOWN}.length === 500 && {POINTS} > 200")


def test_columns_sort_both_ways_with_unknown_figures_last(page: Browser) -> None:
    head = "[...document.querySelectorAll('#variants-table th button')].find((b) => b.textContent.startsWith('latency'))"
    column = f"{head}.parentElement.cellIndex"
    values = f"[...document.querySelectorAll('#variants-table tbody')].map((b) => b.rows[0].cells[{column}].dataset.v)"
    for turn in (1, -1):
        page.evaluate(f"{head}.click()")
        cells = page.evaluate(values)
        known = [float(value) for value in cells if value]
        assert known == sorted(known)[::turn]
        assert cells[len(known) :] == [""] * (500 - len(known)) != []
    assert page.evaluate(f"{head}.parentElement.getAttribute('aria-sort')") == "descending"


def test_pointing_at_a_variant_tells_all_about_it(page: Browser) -> None:
    first = f"{FIRST}.querySelector('.mark-symbol.points path').getBoundingClientRect()"
    page.evaluate(f"{FIRST}.scrollIntoView()")
    box = page.evaluate(f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])({first})")
    page.point(box[0] - 30, box[1] - 30)
    page.point(*box)
    page.wait_for("!document.getElementById('tip').hidden")
    text = page.evaluate("document.getElementById('tip').textContent")
    assert "on board-a" in text
    assert "synthetic data" in text


def test_the_keyboard_goes_through_the_variants_and_to_the_table(page: Browser) -> None:
    page.evaluate(f"{FIRST}.querySelector('.chart').focus()")
    readout = f"{FIRST}.querySelector('.readout strong')?.textContent"
    seen = []
    for _ in range(3):
        page.press("ArrowRight")
        page.wait_for(f"{readout} !== undefined")
        seen.append(page.evaluate(readout))
    assert len(set(seen)) == 3
    rows = json.loads(page.evaluate("document.getElementById('variants').textContent"))
    times = {row["text"][0]: row["time"] for row in rows}
    assert [times[name] for name in seen] == sorted(times[name] for name in seen)
    page.press("Tab")
    page.press("Enter")
    page.wait_for("location.hash.startsWith('#row-')")
    name = page.evaluate("document.querySelector(location.hash).rows[0].cells[0].textContent")
    assert seen[-1].startswith(f"{name} on board-a")


def test_validity_and_evidence_are_shown_for_every_variant(page: Browser) -> None:
    texts = page.evaluate(f"{SHOWN}.map((body) => [body.dataset.device, body.dataset.verdict, body.innerText])")
    for device, verdict, text in texts:
        assert verdict in text
        assert ("simulated" in text) == (device == "board-b")
        assert "synthetic" in text
    header = page.evaluate("document.querySelector('header').innerText")
    assert "not measured on real hardware" in header
    assert "synthetic data" in header


def test_tables_by_view_follow_the_variant(page: Browser, out: Path) -> None:
    rows = load(Folders(out.parent), study(out.parent.parent))
    chosen = [row for row in rows if row.get("rank1_by_view")][7]
    page.evaluate(
        f"(() => {{ const field = document.getElementById('view-variant'); field.value = '{chosen.key}';"
        " field.dispatchEvent(new Event('change')); })()"
    )
    cells = page.evaluate("[...document.querySelectorAll('#heat table:nth-child(2) td')].map((td) => td.textContent)")
    expected = [rate for row in chosen.get("rank1_by_view", "rank1", "bg") for rate in row]
    assert [cell == "–" for cell in cells] == [rate is None for rate in expected]
    known = [(float(cell), rate) for cell, rate in zip(cells, expected, strict=True) if rate is not None]
    assert all(shown == pytest.approx(rate, abs=0.0501) for shown, rate in known)


def test_people_who_are_not_enrolled_have_a_table(page: Browser, out: Path) -> None:
    rows = [row for row in load(Folders(out.parent), study(out.parent.parent)) if row.get("accuracy", "open_set")]
    assert page.evaluate("document.querySelector('#strangers').closest('details').open") is False  # so many fold away
    table = "[...document.querySelectorAll('#strangers tbody tr')].map((row) => [...row.cells].map((td) => td.textContent))"
    cells = page.evaluate(table)
    assert [line[0] for line in cells] == [row.name for row in rows]
    promise = rows[5].get("accuracy", "open_set", "promised")[1]
    assert promise["far"] == 1
    low, high = promise["tar"]["interval"]
    assert cells[5][2:] == [
        "50",
        *(f"{figure:.1f}{figure - 5:.1f}–{figure + 4:.1f}" for figure in [2 * promise["tar"]["rate"]]),
        "10.05.0–20.0",
        f"{promise['tar']['rate']:.1f}{low:.1f}–{high:.1f}",
        "1.00.5–2.0",
        f"{rows[5].get('accuracy', 'open_set', 'eer'):.1f}",
    ]


def show_errors(page: Browser) -> None:
    page.evaluate(f"{DET}.scrollIntoView()")
    page.wait_for(f"{DET}.dataset.drawn !== undefined")


@pytest.mark.slow
def test_of_many_variants_those_that_stand_out_have_error_curves(page: Browser, out: Path) -> None:
    show_errors(page)
    rows = [row for row in json.loads(page.evaluate("document.getElementById('variants').textContent")) if row["far"]]
    here = [row for row in rows if row["device"] == "board-a"]
    outstanding = [row for row in here if row["outstanding"]]
    assert 12 < len(outstanding) < 30
    known = {row.key: row for row in load(Folders(out.parent), study(out.parent.parent))}
    for row in here:
        assert row["outstanding"] or not (known[row["key"]].optimal or row["key"].endswith("p0-fp32"))
    assert page.evaluate(LINES) == len(outstanding)
    assert page.evaluate(EQUAL) == sum(row["eer"] is not None for row in outstanding)
    assert f"{len(outstanding)} of {len(here)} variants have a line" in page.evaluate(f"{DET}.textContent")
    choose(page, "model", "gaitgl")
    of_model = [row for row in here if row["model"] == "gaitgl"]
    few = [row for row in of_model if row["outstanding"]]
    page.wait_for(f"{LINES} === {len(few)}")
    assert f"{len(few)} of {len(of_model)} variants have a line" in page.evaluate(f"{DET}.textContent")
    choose(page, "percentile", "4")  # so few are left that all have lines
    page.wait_for(f"{LINES} === {sum(row['percentile'] == 4 for row in of_model)}")
    assert "variants have a line" not in page.evaluate(f"{DET}.textContent")
    assert page.faults == []


def test_the_keyboard_goes_through_the_error_curves(page: Browser) -> None:
    show_errors(page)
    page.evaluate(f"{DET}.querySelector('.chart').focus()")
    readout = f"{DET}.querySelector('.readout')?.textContent"
    rates = []
    for _ in range(3):
        page.press("ArrowRight")
        text = page.evaluate(readout)
        rates.append(float(text.partition("equal error rate ")[2].partition(" %")[0]))
    assert rates == sorted(rates)
    wide = f"[...{DET}.querySelectorAll('.lines path')].filter((path) => path.getAttribute('stroke-width') === '3').length"
    page.wait_for(f"{wide} === 1")
    page.press("Escape")
    page.wait_for(f"{wide} === 0 && {readout} === ''")


def test_of_twelve_variants_all_have_named_error_curves(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {"DEVICES": ("board-a",), "MODELS": ("gaitset", "gaitpart"), "PERCENTILES": (0, 30, 50)}
    for name, value in few.items():
        monkeypatch.setattr(many_records, name, value)
    settings = study(tmp_path)
    results = tmp_path / "results"
    report(results, results / "report", settings)
    browser.faults.clear()
    browser.open(results / "report/index.html")
    show_errors(browser)
    rows = [row for row in load(Folders(results), settings) if row.get("accuracy", "open_set")]
    assert browser.evaluate(LINES) == len(rows) > 10
    # Both axes are equal where the dotted line is: there a line has its point.
    dotted = f"{DET}.querySelector('.equal-rates path').getBoundingClientRect()"
    left, right, top, bottom = browser.evaluate(f"(({{left, right, top, bottom}}) => [left, right, top, bottom])({dotted})")
    points = browser.evaluate(
        f"[...{DET}.querySelectorAll('.mark-symbol.points path')].map((path) => path.getBoundingClientRect())"
        ".map(({left, width, top, height}) => [left + width / 2, top + height / 2])"
    )
    assert len(points) == len(rows)
    for x, y in points:
        assert (x - left) / (right - left) == pytest.approx((bottom - y) / (bottom - top), abs=0.02)
    names = browser.evaluate(
        f"[...{DET}.querySelectorAll('.mark-text.names text')].filter((text) => text.getAttribute('opacity') !== '0')"
        ".map((text) => text.textContent)"
    )
    assert len(names) > 6
    assert set(names) <= {row.name for row in rows}
    assert browser.faults == []


@pytest.mark.parametrize("device", ["board-a", "board-b"])
def test_no_name_lies_on_the_line_of_the_front(page: Browser, device: str) -> None:
    chart = f"document.querySelector('figure[data-chart=\"pareto/{device}\"]')"
    page.evaluate(f"{chart}.scrollIntoView()")
    page.wait_for(f"{chart}.dataset.drawn !== undefined")
    # The boxes of letters have room above and below them.
    on_it = f"""(() => {{
        const line = {chart}.querySelector('.front-line path'), at = line.getScreenCTM(), long = line.getTotalLength();
        const places = [...Array(500).keys()].map((n) => line.getPointAtLength(n / 499 * long).matrixTransform(at));
        const texts = [...{chart}.querySelectorAll('.mark-text.names text')];
        const names = texts.filter((text) => text.getAttribute('opacity') !== '0' && text.textContent);
        const on = (box, {{x, y}}) => x > box.left + 2 && x < box.right - 2 && y > box.top + 4 && y < box.bottom - 4;
        const lying = names.filter((text) => places.some((place) => on(text.getBoundingClientRect(), place)));
        return [names.length, lying.map((text) => text.textContent)];
    }})()"""
    named, lying = page.evaluate(on_it)
    assert named > 3 and lying == []


@pytest.mark.slow
def test_on_paper_it_has_every_chart_as_wide_as_the_paper(page: Browser, tmp_path: Path) -> None:
    undrawn = "[...document.querySelectorAll('figure[data-chart]')].filter((figure) => !figure.dataset.drawn).length"
    assert page.evaluate(undrawn) > 0
    pdf = base64.b64decode(page.call("Page.printToPDF")["data"])
    assert pdf.startswith(b"%PDF")
    assert page.evaluate(undrawn) == 0
    page.call("Emulation.setDeviceMetricsOverride", width=700, height=900, deviceScaleFactor=1, mobile=False)
    page.call("Emulation.setEmulatedMedia", media="print")
    wide = "[...document.querySelectorAll('.chart svg')].filter((svg) => svg.getBoundingClientRect().right > 700).length"
    try:
        assert page.evaluate(wide) == 0
    finally:
        page.call("Emulation.setEmulatedMedia", media="")
    assert page.faults == []


@pytest.mark.slow
def test_it_fits_a_phone(browser: Browser, out: Path) -> None:
    browser.faults.clear()
    browser.open(out / "index.html", width=390, height=800)
    browser.evaluate(f"{FIRST}.scrollIntoView()")
    browser.wait_for(DRAWN)
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390
    show_errors(browser)
    assert browser.evaluate(f"{DET}.querySelector('svg').getBoundingClientRect().right") <= 390
    chart = f"{FIRST}.querySelector('svg').getBoundingClientRect()"
    assert browser.evaluate(f"{chart}.right") <= 390
    # Turned round and back, the charts follow.
    for width in (800, 390):
        browser.call("Emulation.setDeviceMetricsOverride", width=width, height=600, deviceScaleFactor=1, mobile=True)
        browser.wait_for(f"{width} - 80 < {chart}.right && {chart}.right <= {width}")
    assert browser.faults == []


@pytest.mark.parametrize("width", some([1280, 390], 390))
def test_the_bars_of_live_recognition_show_the_shares_of_its_parts(browser: Browser, out: Path, width: int) -> None:
    browser.open(out / "index.html", width=width, height=800)
    browser.evaluate("document.querySelector('#live .parts').scrollIntoView({block: 'center', inline: 'end'})")
    bars = "[...document.querySelectorAll('#live .parts')].map((bar) => [...bar.children].map((part) => part.offsetWidth))"
    widths = browser.evaluate(bars)
    assert len(widths) == 2
    for masks, tracks, network in widths:
        assert masks == pytest.approx(tracks + network, abs=3)
        assert tracks == pytest.approx(network, abs=1)
        assert tracks > 20
    inside = "document.querySelector('#live .parts').getBoundingClientRect().right"
    assert browser.evaluate(inside) <= width
    name = "document.querySelector('#live tbody th span').getBoundingClientRect().left"
    assert 0 <= browser.evaluate(name) < width / 2  # the variant's name stays while its figures are scrolled
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
def test_text_can_be_read_by_day_and_by_night(browser: Browser, out: Path) -> None:
    """At least the contrast of 4.5 that WCAG 2.2 asks for, of all text to what is behind it."""
    contrast = """() => {
      const luminance = (rgb) => rgb.slice(0, 3).map((value) => value / 255)
        .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
        .reduce((sum, value, place) => sum + value * [0.2126, 0.7152, 0.0722][place], 0);
      const numbers = (text) => text.match(/[0-9.]+/g).map(Number);
      const behind = (element) => {
        for (let each = element; each; each = each.parentElement) {
          const found = numbers(getComputedStyle(each).backgroundColor);
          if (found.length === 3 || found[3] === 1) return found;
        }
        return [255, 255, 255];
      };
      const written = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
      const found = [...document.querySelectorAll("body *:not(svg, svg *, option, script)")]
        .filter((each) => written(each) && each.checkVisibility())
        .map((each) => [luminance(numbers(getComputedStyle(each).color)), luminance(behind(each)), each.outerHTML])
        .map(([one, other, what]) => [(Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05), what.slice(0, 80)]);
      found.sort((a, b) => a[0] - b[0]);
      return [found.length, found[0], getComputedStyle(document.body).backgroundColor];
    }"""
    grounds = set()
    for scheme in ("light", "dark"):
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        browser.open(out / "index.html")
        count, (least, where), ground = browser.evaluate(f"({contrast})()")
        assert count > 100
        assert least >= 4.5, (scheme, where)
        grounds.add(ground)
    browser.call("Emulation.setEmulatedMedia", features=[])
    assert len(grounds) == 2


def test_the_page_is_whole_in_its_text_without_scripts(out: Path) -> None:
    text = (out / "index.html").read_text(encoding="utf-8")
    assert text.count("<tbody id=") == 500
    assert "frame1: has collapsed" in text
    assert "Curves of more than 200 rows are means" in text


@pytest.mark.slow
def test_the_runtimes_of_a_machine_stand_side_by_side(browser: Browser, out: Path, tmp_path: Path) -> None:
    settings = study(tmp_path, one_machine=True)
    results = tmp_path / "results"
    report(results, results / "report", settings)
    browser.faults.clear()
    browser.open(results / "report/index.html")
    browser.wait_for(DRAWN)
    table = "document.querySelector('section[data-machine=\"A kit\"] table')"
    assert browser.evaluate(f"{table}.tHead.innerText").split("\n")[0].startswith("network")
    assert browser.evaluate(f"{table}.tBodies[0].rows.length") == 125  # 5 models at 25 percentiles
    rows = [
        row for row in load(Folders(results), settings) if (row.model, row.percentile) == ("gaitset", 4) and row.eligible
    ]
    best = min(rows, key=lambda row: row.record["ms_per_video_second"])
    said = browser.evaluate(f"{table}.tBodies[0].rows[2].innerText")
    assert said.startswith("gaitset p4")
    assert f"{best.device}, " in said
    assert best.precision in browser.evaluate(f"{table}.tBodies[0].rows[2].querySelector('strong').innerText")
    assert browser.faults == []
    browser.open(out / "index.html")  # a board and a simulated one are two machines
    browser.wait_for(DRAWN)
    assert browser.evaluate("document.querySelector('section[data-machine]')") is None
