"""Choosing a variant within limits, compared with looking at every one."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML

from gaitpress.commands.select.choice import UNITS, Limits, amount, choose, limits
from gaitpress.params.select import Select
from gaitpress.results.ordering import fastest_within
from gaitpress.results.records import Row
from tests.support import commands
from tests.support.many_records import study

FEW = st.integers(1, 5).map(float)  # few values, so that there are ties
UNKNOWN = st.none() | FEW


@st.composite
def strangers(draw: st.DrawFn) -> dict[str, Any] | None:
    """What a record says of people who are not enrolled, at several false accept rates."""
    rates = draw(st.lists(st.sampled_from([10.0, 1.0, 0.1]), unique=True))
    return {"promised": [{"far": far, "tar": {"rate": draw(FEW)}} for far in rates]} if draw(st.booleans()) else None


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    variants = []
    for number in range(draw(st.integers(0, 9))):
        status = draw(st.sampled_from(["ok", "ok", "ok", "failed", "skipped", "missing"]))
        record: dict[str, Any] = {"status": status, "reason": "why", "valid": False, "invalid_reasons": ["why"]}
        if status == "ok":
            valid = draw(st.sampled_from([True, True, False]))
            record |= {
                "valid": valid,
                "invalid_reasons": [] if valid else ["unstable"],
                "latency_ms": {"p50": draw(FEW)},
                "ms_per_video_second": draw(FEW),
                "accuracy": {"rank1": {"mean": draw(FEW)}, "open_set": draw(strangers())}
                if draw(st.integers(0, 9))
                else None,
                "energy_mj_per_inference": draw(UNKNOWN),
                "size": {"engine_bytes": draw(UNKNOWN)},
                "throughput_per_s": draw(UNKNOWN),
                "signature": {"inferences_per_video_second": draw(FEW)},
                "sweep": [
                    {"batch": batch, "inferences_per_s": rate, "reason": None if rate else "out of memory"}
                    for batch, rate in enumerate(draw(st.lists(UNKNOWN, max_size=3)), start=1)
                ],
            }
        variants.append(Row("board", "gaitset", number, "fp32", Path("record.json"), record))
    dense = variants[0] if variants and variants[0].rank1 is not None and draw(st.booleans()) else None
    return [replace(row, dense=dense) for row in variants]


LIMITS = st.builds(
    Limits,
    *[UNKNOWN] * 7,
    max_loss=st.none() | st.integers(0, 3).map(float),
    sure=st.booleans(),
)


def people(row: Row, fps: float | None) -> int | None:
    """Counted one by one: so many that one more would be too many."""
    record = row.record
    rates = [record["throughput_per_s"], *(point["inferences_per_s"] for point in record["sweep"])]
    per_person = fps or record["signature"]["inferences_per_video_second"]
    if not any(rates):
        return None
    return max(count for count in range(9) if any(rate and count * per_person <= rate for rate in rates))


def figures(row: Row) -> tuple[Any, ...]:
    record = row.record
    return (
        record["latency_ms"]["p50"], record["accuracy"]["rank1"]["mean"], record["energy_mj_per_inference"],
        record["size"]["engine_bytes"],
    )  # fmt: skip


def recognised(row: Row) -> float | None:
    """How many enrolled people are recognised where 1 % of strangers are accepted."""
    open_set = row.record["accuracy"]["open_set"] or {"promised": []}
    return next((promise["tar"]["rate"] for promise in open_set["promised"] if promise["far"] == 1), None)


def comparable(row: Row) -> bool:
    return row.record["status"] == "ok" and row.record["valid"] and row.record["accuracy"] is not None


def loss(row: Row, within: Limits) -> float | None:
    """These records have no hits of each person, so that only the dense network's own loss is sure."""
    if row.dense is None:
        return None
    known = not within.sure or row is row.dense or row.percentile == row.dense.percentile
    return row.dense.record["accuracy"]["rank1"]["mean"] - row.record["accuracy"]["rank1"]["mean"] if known else None


def keeps(row: Row, within: Limits) -> bool:
    latency, rank1, energy, size = figures(row)
    count, lost, tar = people(row, within.fps), loss(row, within), recognised(row)
    return (
        (within.max_latency is None or latency <= within.max_latency)
        and (within.min_rank1 is None or rank1 >= within.min_rank1)
        and (within.min_tar is None or (tar is not None and tar >= within.min_tar))
        and (within.max_energy is None or (energy is not None and energy <= within.max_energy))
        and (within.max_size is None or (size is not None and size <= within.max_size))
        and (within.people is None or (count is not None and count >= within.people))
        and (within.max_loss is None or (lost is not None and lost <= within.max_loss))
    )


def better(one: Row, other: Row, fastest: bool) -> bool:
    """Whether one goes strictly before the other, by comparing one figure after the other."""

    def pairs() -> list[tuple[Any, Any]]:
        keys = [lambda r: -r.record["accuracy"]["rank1"]["mean"], lambda r: r.record["ms_per_video_second"]]
        keys = keys[::-1] if fastest else keys
        keys += [lambda r: r.record["energy_mj_per_inference"] or 1e9, lambda r: r.record["size"]["engine_bytes"] or 1e9]
        return [(key(one), key(other)) for key in keys]

    return next((ours < theirs for ours, theirs in pairs() if ours != theirs), False)


@given(rows(), LIMITS)
def test_the_choice_is_that_of_looking_at_every_variant(variants: list[Row], within: Limits) -> None:
    choice = choose(variants, within)
    fitting = [row for row in variants if comparable(row) and keeps(row, within)]
    others = (within.max_latency, within.min_tar, within.max_energy, within.max_size, within.people)
    fastest = within.max_loss is not None or (within.min_rank1 is not None and others == (None,) * 5)
    if not fitting:
        assert choice.best is None
        return
    unbeaten = [row for row in fitting if not any(better(other, row, fastest) for other in fitting)]
    assert choice.best is unbeaten[0]
    assert choice.nearest is None
    assert not choice.blocking


@given(rows(), LIMITS)
def test_every_other_variant_has_a_reason(variants: list[Row], within: Limits) -> None:
    choice = choose(variants, within)
    named = [row for row in (choice.best, choice.nearest) if row is not None]
    assert set(choice.reasons) == {row.key for row in variants} - {row.key for row in named}
    assert all(reasons and all(reasons) for reasons in choice.reasons.values())
    assert bool(choice.blocking) == (choice.nearest is not None)


@given(rows(), LIMITS)
def test_the_nearest_miss_would_fit_if_its_blocking_limits_were_as_loose_as_it_needs(
    variants: list[Row], within: Limits
) -> None:
    choice = choose(variants, within)
    if choice.nearest is None:
        return
    latency, rank1, energy, size = figures(choice.nearest)
    needed = {"max_latency": latency, "min_rank1": rank1, "max_energy": energy, "max_size": size}
    needed |= {"people": people(choice.nearest, within.fps), "max_loss": loss(choice.nearest, within)}
    needed |= {"min_tar": recognised(choice.nearest)}
    words = {"max_latency": "latency", "min_rank1": "mean rank-1", "max_energy": "energy", "max_size": "size"}
    words |= {"people": "people served", "min_tar": "TAR at FAR 1 %"}
    words |= {"max_loss": "upper end of the loss" if within.sure else "loss"}
    blocking = [limit for limit, word in words.items() if any(text.startswith(word) for text in choice.blocking)]
    assert not keeps(choice.nearest, within)
    assert keeps(choice.nearest, replace(within, **{limit: needed[limit] for limit in blocking}))

    def excess(row: Row) -> tuple[int, float]:
        missing, shares = 0, [0.0]
        bounds = (within.max_latency, within.min_rank1, within.max_energy, within.max_size)
        bounds += (within.people, within.max_loss, within.min_tar)
        values = (*figures(row), people(row, within.fps), loss(row, within), recognised(row))
        for bound, value, sign in zip(bounds, values, (1, -1, 1, 1, -1, 1, -1), strict=True):
            if bound is not None:
                missing += value is None
                shares += [] if value is None else [sign * (value - bound) / (bound or 1)]
        return missing, max(shares)

    assert excess(choice.nearest) == min(excess(row) for row in variants if comparable(row))


@given(rows(), st.integers(0, 3).map(float), st.booleans())
def test_the_report_names_the_variant_that_select_chooses(variants: list[Row], budget: float, sure: bool) -> None:
    assert fastest_within(variants, budget, sure) is choose(variants, Limits(max_loss=budget, sure=sure)).best


@pytest.mark.parametrize(
    ("limit", "text", "value"),
    [("max_latency", "5ms", 5), ("max_latency", "0.1 s", 100), ("max_latency", "250us", 0.25), ("max_energy", "0.5J", 500),
     ("max_size", "5MB", 5e6), ("max_size", "2MiB", 2 * 2**20), ("max_size", ".5kB", 500)],
)  # fmt: skip
def test_amounts_have_units(limit: str, text: str, value: float) -> None:
    assert amount(limit, text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["5", "ms", "-5ms", "0ms", "5 mJ", "5msx", "nanms", "5 ms; touch x", "1e3ms", ""])
def test_other_amounts_are_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="must be a number above 0 with a unit, s, ms, us"):
        amount("max_latency", text)


def test_params_yaml_takes_the_same_units() -> None:
    for limit, units in UNITS.items():
        for unit in units:
            settings = Select.model_validate({limit: f"2.5 {unit}"})
            assert getattr(limits(settings), limit) == 2.5 * units[unit]
    with pytest.raises(ValidationError, match="must be a number above 0 with a unit, J, mJ, uJ"):
        Select(max_energy="0mJ")


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("study")
    study(made)
    return made


def run(where: Path, *options: str) -> subprocess.CompletedProcess[str]:
    common = ["--params", str(where / "params.yaml"), "--results", str(where / "results")]
    return commands.command("select", *common, *options)


def test_the_command_prints_json_for_scripts(where: Path) -> None:
    done = run(where, "--device", "board-a", "--max-latency", "20ms", "--min-rank1", "70", "--max-energy", "50mJ", "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    chosen = printed["variant"]
    assert (chosen["device"], chosen["data"], chosen["evidence"]) == ("board-a", "synthetic", "real-device")
    assert chosen["latency_p50_ms"] <= 20
    assert chosen["rank1_mean"] >= 70
    assert chosen["energy_mj_per_inference"] <= 50
    assert len(printed["reasons"]) == 249
    limits = {"max_latency": 20.0, "min_rank1": 70.0, "max_energy": 50.0, "max_size": None, "people": None, "fps": None}
    limits |= {"min_tar": None}
    assert printed["limits"] == limits | {"max_loss": None, "sure": False}


def test_a_device_must_serve_so_many_people(where: Path) -> None:
    """The record of the study with the best throughput has 1600 inferences a second by its p50 in ms, in a batch of 8."""
    done = run(where, "--device", "board-a", "--people", "12", "--fps", "25", "--json")
    chosen = json.loads(done.stdout)["variant"]
    assert chosen["people"] == int(1600 / chosen["latency_p50_ms"] / 25) >= 12
    said = run(where, "--device", "board-a", "--people", "4000", "--fps", "25").stdout
    assert "limits: people 4000 at 25 inferences a second each" in said
    assert re.search(r"in its way: people served \d+ is below 4000", said)


def with_select(where: Path, other: Path, section: dict[str, Any]) -> None:
    """Write the params.yaml of ``where`` with another section `select` to the folder ``other``."""
    data = YAML(typ="safe", pure=True).load((where / "params.yaml").read_text(encoding="utf-8"))
    YAML().dump({**data, "select": section}, other / "params.yaml")


def test_limits_of_the_params_hold_until_an_option_says_otherwise(where: Path, tmp_path: Path) -> None:
    with_select(where, tmp_path, {"device": "board-b", "max_latency": "3ms", "min_rank1": 50})
    options = ["--params", str(tmp_path / "params.yaml"), "--max-latency", "30ms", "--json"]
    printed = json.loads(run(where, *options).stdout)
    assert printed["variant"]["device"] == "board-b"
    assert printed["limits"]["max_latency"] == 30
    assert printed["limits"]["min_rank1"] == 50


def test_nothing_within_the_limits_is_status_1_with_what_stands_in_the_way(where: Path) -> None:
    done = run(where, "--device", "board-a", "--max-latency", "1us")
    assert done.returncode == 1
    assert "nearest: " in done.stdout
    assert re.search(r"in its way: latency [\d.]+ ms is above 0.001 ms", done.stdout)


def test_a_device_must_be_one_of_several(where: Path) -> None:
    assert run(where).stderr.startswith("error: several devices are listed; name one by --device: board-a, board-b")
    assert "device desk: is none of params.yaml's" in run(where, "--device", "desk").stderr


def test_no_limits_at_all_choose_the_most_accurate() -> None:
    def made(number: int, rank1: float) -> Row:
        figures = {"latency_ms": {"p50": 1.0}, "ms_per_video_second": 1.0, "accuracy": {"rank1": {"mean": rank1}}}
        record = {"status": "ok", "valid": True, "invalid_reasons": [], "energy_mj_per_inference": None, "size": {}}
        return Row("board", "gaitset", number, "fp32", Path("record.json"), record | figures)

    several: Sequence[Row] = [made(0, 70.0), made(1, 90.0), made(2, 80.0)]
    assert choose(several, Limits()).best is several[1]


def test_of_a_machine_with_two_runtimes_the_better_one_is_chosen(tmp_path: Path) -> None:
    study(tmp_path, one_machine=True)
    best = {
        device: json.loads(run(tmp_path, option, device, "--min-rank1", "60", "--json").stdout)["variant"]
        for option, device in (("--device", "board-a"), ("--device", "board-b"))
    }
    fastest = min(best.values(), key=lambda variant: variant["ms_per_video_second"])
    for device in best:
        chosen = json.loads(run(tmp_path, "--machine", device, "--min-rank1", "60", "--json").stdout)
        assert chosen["variant"]["key"] == fastest["key"]
        assert len(chosen["reasons"]) == 499
