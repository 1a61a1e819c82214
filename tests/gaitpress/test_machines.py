"""Devices that are one machine, and their networks side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gaitpress.params.select import Select
from gaitpress.results.machines import machines, same_machine
from gaitpress.results.records import Row
from report import table

DESK = {"board": None, "cpu": "A CPU", "cpu_id": "6 1", "cores": 4}
BOARD = {"board": "A Board", "cpu": "ARM", "cpu_id": "0x41", "cores": 6}


def row(device: str, percentile: int, precision: str, ms: float | None, facts: dict[str, Any], runtime: str = "one") -> Row:
    """A measured variant, or a failed one where it has no time."""
    status = {"status": "failed", "reason": "why", "valid": False, "invalid_reasons": ["failed: why"]}
    if ms is not None:
        status = {"status": "ok", "reason": None, "valid": True, "invalid_reasons": []}
    record = {
        **status,
        "device": {**facts, "runtime": runtime, "runtime_version": "1.0"},
        "evidence": "host",
        "data": "synthetic",
        "latency_ms": ms and {"p50": ms},
        "ms_per_video_second": ms,
        "accuracy": {"rank1": {"mean": 90.0, "people": 9, "probes": 9}, "distance": "euclidean"},
    }
    return Row(device, "gaitset", percentile, precision, Path("record.json"), record)


ROWS = [
    row("desk", 0, "fp32", 8.0, DESK),
    row("desk", 0, "int8", 4.0, DESK),
    row("desk", 60, "fp32", None, DESK),
    row("desk-two", 0, "fp32", 7.0, DESK, "two"),
    row("desk-two", 0, "bf16", 1.0, DESK, "two"),
    row("desk-two", 60, "fp32", 3.0, DESK, "two"),
    row("board", 0, "fp32", 0.5, BOARD),
    row("board-gpu", 0, "fp16", 0.1, {"board": "A Board", "gpu": "A GPU"}, "three"),  # as the facts of a board's GPU are
    row("board-simulated", 0, "fp32", 0.5, {**BOARD, "simulated": True}),
]


def test_a_machine_has_several_devices_and_each_networks_fastest_precision_on_each() -> None:
    desk, board = machines(ROWS)
    assert (board.name, list(board.runtimes)) == ("A Board", ["board", "board-gpu"])
    assert desk.name == "A CPU, 4 cores"
    assert desk.runtimes == {"desk": "one 1.0", "desk-two": "two 1.0"}
    whole, pruned = desk.networks
    assert {device: best and (best.precision, best.record["latency_ms"]["p50"]) for device, best in whole.best.items()} == {
        "desk": ("int8", 4.0),
        "desk-two": ("bf16", 1.0),
    }
    assert whole.fastest is ROWS[4]
    assert whole.ahead == 4.0
    assert (pruned.name, pruned.fastest, pruned.ahead) == ("gaitset p60", ROWS[5], None)
    assert pruned.best["desk"] is None


def test_the_devices_of_a_machine_are_chosen_from_together() -> None:
    assert same_machine(ROWS, "desk-two") == ROWS[:6]
    assert same_machine(ROWS, "board") == ROWS[6:8]
    assert same_machine(ROWS, "board-simulated") == [ROWS[8]]


def test_a_device_that_was_never_measured_is_a_machine_of_its_own() -> None:
    missing = [
        Row(name, "gaitset", 0, "fp32", Path("r.json"), {"status": "missing", "reason": "", "valid": False}) for name in "ab"
    ]
    assert machines(missing) == []
    assert same_machine(missing, "a") == missing[:1]


def test_the_table_on_the_terminal_names_each_networks_fastest() -> None:
    text = table.text(ROWS, Select())
    assert "Fastest on A CPU, 4 cores:" in text
    assert "gaitset p0: bf16 on desk-two, 1.00 ms, 4.00× as fast as the best of the next device" in text
    assert "gaitset p60: fp32 on desk-two, 3.00 ms; no valid times on desk\n" in text
