import json

import numpy as np
import pytest

from compress.pruning import report
from compress.pruning.select import Selection


def selection(filters: int, kept: int, *units: str, spared: bool = False) -> Selection:
    return Selection(filters, np.arange(kept), None if spared else 0.25, units)


SELECTIONS = {
    "stem": selection(8, 8, "stem", spared=True),
    "block.conv1": selection(16, 1, "block.conv1", "block.shortcut"),
    "block.conv10": selection(10, 9, "block.conv10"),
}
BEFORE = [
    {"name": "stem.conv", "params": 72, "macs": 7200},
    {"name": "pool", "params": 0, "macs": 0},
    {"name": "block.conv1.conv", "params": 1152, "macs": 2_000_000},
    {"name": "block.conv1.bn", "params": 32, "macs": 0},
    {"name": "block.shortcut.conv", "params": 128, "macs": 3000},
    {"name": "block.conv10", "params": 160, "macs": 1600},
    {"name": "fc", "params": 40, "macs": 40},
    {"name": "classifier", "params": 999, "macs": 0, "training_only": True},
]
AFTER = [row | {"params": row["params"] // 2, "macs": row["macs"] // 4} for row in BEFORE]
ROWS = report.layer_rows(BEFORE, AFTER, SELECTIONS)


def test_a_row_for_each_layer_with_weights_in_order_and_a_unit_is_one_layer() -> None:
    assert [row["layer"] for row in ROWS] == ["stem", "block.conv1", "block.shortcut", "block.conv10", "fc"]
    assert ROWS[1] == {
        "layer": "block.conv1",
        "filters_before": 16,
        "filters_after": 1,
        "params_before": 1184,
        "params_after": 592,
        "macs_before": 2_000_000,
        "macs_after": 500_000,
        "threshold": 0.25,
        "spared": False,
        "tied_to": ["block.shortcut"],
    }
    assert (ROWS[0]["spared"], ROWS[0]["threshold"]) == (True, None)
    assert (ROWS[4]["filters_before"], ROWS[4]["params_before"], ROWS[4]["spared"]) == (None, 40, False)
    assert json.loads(json.dumps(ROWS, allow_nan=False)) == ROWS


def test_totals_are_those_of_what_is_deployed_and_count_tied_filters_in_every_layer() -> None:
    assert report.totals(ROWS) == {
        "filters_before": 8 + 16 + 16 + 10,
        "filters_after": 8 + 1 + 1 + 9,
        "params_before": 72 + 1184 + 128 + 160 + 40,
        "params_after": (72 + 1184 + 128 + 160 + 40) // 2,
        "macs_before": 7200 + 2_000_000 + 3000 + 1600 + 40,
        "macs_after": (7200 + 2_000_000 + 3000 + 1600 + 40) // 4,
    }


@pytest.mark.parametrize(
    ("filters", "kept", "percentile", "collapses"),
    [
        (64, 1, 10, True),  # the 3D-CNN's first convolution
        (96, 1, 80, True),  # the 2D-CNN's
        (96, 4, 80, False),  # a fifth of the fifth that stays on average is 3.84
        (96, 3, 80, True),
        (8, 1, 30, True),
        (10, 2, 0, False),
        (4, 1, 10, False),
    ],
)
def test_a_layer_collapses_that_keeps_less_than_a_fifth_of_the_average(filters, kept, percentile, collapses) -> None:
    assert bool(report.collapsed({"conv": selection(filters, kept, "conv")}, percentile)) == collapses


def test_a_warning_names_all_tied_layers_and_what_is_left() -> None:
    (warning,) = report.warnings(SELECTIONS, 10)
    assert warning.startswith(
        "block.conv1 and block.shortcut: 1 of 16 filters left, where percentile 10 leaves 90 % on average"
    )


def test_the_table_is_aligned_and_ends_with_the_totals() -> None:
    lines = report.table(ROWS).splitlines()
    words = [" ".join(line.split()) for line in lines]
    assert words[0] == "layer filters left parameters left M multiply-adds left threshold"
    assert words[1] == "stem 8 -> 8 72 -> 36 0.01 -> 0.00 spared"
    assert words[2] == "block.conv1 16 -> 1 1,184 -> 592 2.00 -> 0.50 0.25, with block.shortcut"
    assert words[5] == "fc 40 -> 20 0.00 -> 0.00"
    assert words[6] == "total 50 -> 19 1,584 -> 792 2.01 -> 0.50"
    places = {tuple(place for place in range(len(line)) if line.startswith("->", place))[-1] for line in lines[1:]}
    assert len(places) == 1
