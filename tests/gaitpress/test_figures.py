"""Each figure of a variant once: all that shows figures has them from one place."""

from __future__ import annotations

import csv
from pathlib import Path

from gaitpress.commands.compare import view
from gaitpress.commands.select.choice import LIMITED
from gaitpress.results import figures
from gaitpress.results.digits import DASH
from gaitpress.results.figures import Figure
from gaitpress.results.records import Row
from report import table

ALL = [value for value in vars(figures).values() if isinstance(value, Figure)]


def row(record: dict | None = None) -> Row:
    return Row(
        "local",
        "gaitset",
        30,
        "int8",
        Path("record.json"),
        {"status": "ok", "valid": True, "invalid_reasons": [], **(record or {})},
        speedup=None,
    )


def test_no_two_figures_have_one_name_or_one_place() -> None:
    assert len({figure.name for figure in ALL}) == len(ALL)
    places = [figure.path for figure in ALL if figure.path]
    assert len(set(places)) == len(places)
    assert all(bool(figure.path) != bool(figure.computed) for figure in ALL)


def test_a_figure_is_read_scaled_and_written_by_its_entry() -> None:
    known = row({"size": {"engine_bytes": 5_250_000}, "accuracy": {"rank1": {"mean": 91.25}}})
    assert (figures.SIZE.of(known), figures.SIZE.scaled(known), figures.SIZE.text(known)) == (5_250_000, 5.25, "5.25")
    assert (figures.SIZE.labelled, figures.SIZE.limit(6e6)) == ("size of the engine (MB)", "6 MB")
    assert figures.RANK1.text(known) == "91.2"
    assert [figure.text(row()) for figure in ALL] == [DASH] * len(ALL)


def test_energy_a_second_of_video_needs_the_energy_and_the_rate() -> None:
    rate = {"signature": {"inferences_per_video_second": 2.5}}
    assert figures.ENERGY_PER_VIDEO_SECOND.of(row({"energy_mj_per_inference": 4.0, **rate})) == 10
    assert figures.ENERGY_PER_VIDEO_SECOND.of(row(rate)) is None
    assert figures.ENERGY_PER_VIDEO_SECOND.of(row({"energy_mj_per_inference": 4.0})) is None


def test_limits_and_costs_go_the_way_that_is_better() -> None:
    assert {limit: figure.better for limit, figure in LIMITED.items()} == {
        limit: "more" if limit.startswith("min") else "less" for limit in LIMITED
    }
    assert {figure.better for figure in figures.COSTS.values()} == {"less"}


def test_all_that_shows_figures_shows_those(tmp_path: Path) -> None:
    table.write_csv(tmp_path / "variants.csv", [row()])
    [columns, *_] = csv.reader((tmp_path / "variants.csv").open(encoding="utf-8"))
    names = {figure.name for figure in ALL}
    # What the page derives for its charts alone is in no table.
    assert names - set(columns) == {figures.ENERGY_PER_VIDEO_SECOND.name}
    for shown in (figures.TRACKED, figures.MAIN):
        assert {figure.name for figure in shown} <= names
    assert set(view.COLUMNS["metrics"]) <= names
