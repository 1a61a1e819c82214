"""Scouting: the treads of made figures, and real staircases of small networks on this computer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaitpress import outputs
from gaitpress.commands import scout
from gaitpress.commands.scout.treads import NOISE_MARGIN, Point, over_turns, pooled_cov, treads
from gaitpress.errors import StageError
from gaitpress.params import ParamsError
from remote import facts, inventory
from remote.benchmark import BenchmarkSettings, Timing, timing
from remote.errors import DeviceError
from remote.python.runtime import PythonRuntime
from remote.runtimes import runtime_on
from tests.support.toy import ROOT, make_small

MEDIANS = st.lists(st.floats(0.01, 1000), min_size=1, max_size=20)
QUICK = {"benchmark.warmup_s": 0.0, "benchmark.duration_s": 0.02}
OUT = Path("results/scout/local")


def points(medians: list[float], spread: float = 0.001) -> list[Point]:
    return [Point(5 * place, p50, p50 * (1 - spread), p50 * (1 + spread)) for place, p50 in enumerate(medians)]


def worth(firsts: dict[int | float, int | float]) -> list[int | float]:
    return [percentile for percentile, first in firsts.items() if percentile == first]


@given(st.floats(0.01, 1000), st.lists(st.floats(-0.01, 0.01), min_size=1, max_size=20))
def test_a_flat_series_has_one_tread(level: float, noise: list[float]) -> None:
    assert set(treads(points([level * (1 + deviation) for deviation in noise])).values()) == {0}


@given(st.lists(st.floats(1.05, 2), min_size=1, max_size=15))
def test_a_strictly_falling_series_with_tight_intervals_is_all_worth_it(falls: list[float]) -> None:
    series = points(list(100 / np.cumprod([1.0, *falls])))
    assert worth(treads(series)) == [point.percentile for point in series]


@given(MEDIANS, st.floats(0, 0.5), st.randoms())
def test_the_order_of_the_points_does_not_matter(medians: list[float], spread: float, random: Any) -> None:
    series = points(medians, spread)
    shuffled = random.sample(series, len(series))
    assert list(treads(shuffled).items()) == list(treads(series).items())


@given(MEDIANS, st.floats(0, 0.5))
def test_the_same_shape_again_never_begins_a_tread(medians: list[float], spread: float) -> None:
    once = points(medians, spread)
    twice = [Point(point.percentile + more, point.p50, point.low, point.high) for point in once for more in (0, 1)]
    assert worth(treads(twice)) == worth(treads(once))


@given(MEDIANS, st.floats(0, 0.5))
def test_each_tread_is_faster_than_the_one_before_by_more_than_the_margin(medians: list[float], spread: float) -> None:
    series = {point.percentile: point for point in points(medians, spread)}
    by_percentile = treads(series.values())
    firsts = [series[percentile] for percentile in worth(by_percentile)]
    assert firsts[0].percentile == 0
    for before, after in pairwise(firsts):
        assert after.p50 < before.p50 * (1 - NOISE_MARGIN)
        assert after.p50 < before.low and after.high < before.p50
    assert all(first <= percentile for percentile, first in by_percentile.items())


def test_small_gains_add_up_to_a_tread() -> None:
    assert worth(treads(points([100, 98, 96, 94, 92]))) == [0, 10, 20]


@pytest.mark.parametrize("wide", [0, 5])
def test_a_median_within_an_interval_buys_nothing(wide: int) -> None:
    series = [
        Point(p, p50, p50 - (15 if p == wide else 0.1), p50 + (15 if p == wide else 0.1)) for p, p50 in ((0, 100), (5, 90))
    ]
    assert worth(treads(series)) == [0]


def test_the_interval_over_turns_is_wide_when_they_disagree() -> None:
    def turns(*medians: float) -> list[dict[str, float]]:
        return [{"p50": median, "p50_low": median - 0.1, "p50_high": median + 0.1} for median in medians]

    p50, low, high = over_turns(turns(10, 10, 10))
    assert p50 == 10 and 9.85 < low < 10 < high < 10.15
    p50, low, high = over_turns(turns(10, 11, 12))
    assert p50 == 11 and low < 10.2 and high > 11.8
    assert over_turns(turns(10, 11, 12)) == over_turns(turns(10, 11, 12))


def test_the_variation_over_turns_is_that_of_all_queries_together() -> None:
    rng = np.random.default_rng(0)
    samples = [rng.normal(mean, 1, count) for mean, count in ((10, 30), (12, 50), (11, 40))]
    turns = [{"mean": times.mean(), "cov": times.std() / times.mean(), "queries": len(times)} for times in samples]
    together = np.concatenate(samples)
    assert pooled_cov(turns) == pytest.approx(together.std() / together.mean())


@pytest.mark.parametrize(
    ("step", "last", "count"), [(5, 95, 20), (50, 50, 2), (30, 90, 4), (2.5, 97.5, 40), (0.1, 99.9, 1000), (99, 99, 2)]
)
def test_the_grid_goes_from_0_to_below_100(step: float, last: float, count: int) -> None:
    percentiles = scout.grid(step)
    assert (percentiles[0], percentiles[-1], len(percentiles)) == (0, last, count)
    assert all(isinstance(percentile, int) == (percentile == int(percentile)) for percentile in percentiles)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to run in, with small networks, quick measurements and the facts of this machine."""
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    make_small(tmp_path / "params.yaml", **QUICK)
    (tmp_path / "remote").mkdir()
    (tmp_path / "remote/devices.yaml").write_text("local: {transport: local}\n")
    with runtime_on(inventory.find(tmp_path / "remote/devices.yaml", "local")) as runtime:
        facts.write(tmp_path / "remote/facts/local.json", runtime.facts())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["scout", "--device", "local", *words])
    scout.main()


def made_timing(ms: float) -> Timing:
    """What a runtime says of an engine that takes ``ms`` on a quiet machine."""
    settings = BenchmarkSettings(1, 1, 0.0, 0.0, 1, 1, 1.0, 1)
    warmup = {"settled": True, "seconds": 0.0}
    repeat = {"samples_ms": [ms] * 20, "warmup": warmup, "reference_ms_before": 1.0, "reference_ms_after": 1.0, "others": 0}
    state: dict[str, Any] = {
        "load": 0.0,
        "free_memory_mb": 1,
        "cpu_mhz": 1.0,
        "governor": None,
        "temperature_c": None,
        "unreadable": {},
    }
    return timing([repeat], state, state, {"reason": "made"}, {"reason": "made"}, [], settings, {}, cores=1)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders of the engines that were measured, in order; the engines are real, their times are by their size."""
    names: list[str] = []

    def times(
        self: PythonRuntime, engine_folders: Sequence[Path], example: np.ndarray, settings: BenchmarkSettings
    ) -> Generator[Timing, None, None]:
        assert settings.repeats == 1
        for engine in engine_folders:
            names.append(engine.name)
            yield made_timing(self.check(engine)["bytes"] / 1e4)

    monkeypatch.setattr(PythonRuntime, "times", times)
    return names


@pytest.mark.slow
def test_a_staircase_is_measured_printed_and_written(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_small(here / "params.yaml", **QUICK, **{"benchmark.repeats": 1})
    typed(monkeypatch, "--model", "gaitset", "--step", "20", "--json")
    *lines, last = capsys.readouterr().out.splitlines()
    staircase = json.loads(last)["gaitset"]
    assert staircase == json.loads((OUT / "gaitset.json").read_text())
    assert (OUT / "gaitset.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in OUT.iterdir()) == ["gaitset.json", "gaitset.png"]
    rows = staircase["rows"]
    assert [row["percentile"] for row in rows] == [0, 20, 40, 60, 80]
    assert {row["status"] for row in rows} == {"ok"}
    # Layers of 4 and 8 filters, rounded to 4: 20 % removes none, and 40 % and more leave 4. One measurement a shape.
    assert [row["same_shape_as"] for row in rows] == [None, 0, None, 40, 40]
    assert len(staircase["turns"]) == 2
    for row in rows:
        if row["same_shape_as"] is not None:
            other = next(candidate for candidate in rows if candidate["percentile"] == row["same_shape_as"])
            assert (row["latency_ms"], row["macs"]) == (other["latency_ms"], other["macs"]) and not row["worth"]
        assert row["latency_ms"]["p50_low"] <= row["latency_ms"]["p50"] <= row["latency_ms"]["p50_high"]
    assert staircase["worth"][0] == 0 and rows[0]["speedup"] == 1 and rows[0]["filters"] > rows[-1]["filters"]
    assert (staircase["evidence"], staircase["data"], staircase["protocol"]["session"]) == ("host", "none", 1)
    assert lines[-1].startswith("worth fine-tuning: 0 (the baseline)")
    assert "host CPU" in lines[0] and "data none" in lines[0]


@pytest.mark.slow
def test_all_shapes_are_measured_before_any_is_measured_again(
    here: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_small(here / "params.yaml", **QUICK, **{"model.gaitset.width": 0.125, "benchmark.repeats": 4})
    typed(monkeypatch, "--model", "gaitset", "--step", "30")
    staircase = json.loads((OUT / "gaitset.json").read_text())
    upwards = list(dict.fromkeys(row["shape"] for row in staircase["rows"]))
    turns = [measured[start : start + len(upwards)] for start in range(0, len(measured), len(upwards))]
    assert len(turns) == 4 and all(sorted(turn) == sorted(upwards) for turn in turns)
    assert len({tuple(turn) for turn in turns}) > 1 and any(turn != upwards for turn in turns)
    assert staircase["worth"] == [row["percentile"] for row in staircase["rows"] if row["same_shape_as"] is None]


@pytest.mark.slow
def test_what_was_measured_before_an_interruption_is_kept_unless_its_settings_changed(
    here: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original: Callable[..., Any] = PythonRuntime.times

    def interrupted(self: PythonRuntime, *rest: Any) -> Any:
        for measurement in original(self, *rest):
            if len(measured) == 4:
                raise KeyboardInterrupt
            yield measurement

    words = "--model", "gaitset", "--step", "50"
    with monkeypatch.context() as patched:
        patched.setattr(PythonRuntime, "times", interrupted)
        # Two shapes, two turns: were anything of session 1 kept, session 2 would be through before its fourth measurement.
        for session in (1, 2):
            measured.clear()
            make_small(here / "params.yaml", **QUICK, **{"benchmark.session": session})
            with pytest.raises(KeyboardInterrupt):
                typed(monkeypatch, *words)
    assert not (OUT / "gaitset.json").exists() and not (OUT / "gaitset.png").exists()
    turns = outputs.begun_path(OUT / "gaitset.json") / "turns.jsonl"
    turns.write_text(turns.read_text() + '{"shape": "ab')  # the process was killed while it wrote
    typed(monkeypatch, *words)
    assert len(measured) == 5  # the fourth was measured, but its time did not arrive
    assert len(json.loads((OUT / "gaitset.json").read_text())["turns"]) == 4
    assert sorted(path.name for path in OUT.iterdir()) == ["gaitset.json", "gaitset.png"]


@pytest.mark.slow
def test_a_percentile_that_cannot_be_built_is_a_row_with_its_reason(
    here: Path, measured: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_small(here / "params.yaml", **QUICK, **{"prune.scope": "global", "benchmark.repeats": 1})
    original = PythonRuntime.build
    built: list[Path] = []

    def build(self: PythonRuntime, onnx: Path, *rest: Any) -> dict[str, Any]:
        built.append(onnx)
        if len(built) == 2:
            onnx.write_bytes(b"no network")
        return original(self, onnx, *rest)

    monkeypatch.setattr(PythonRuntime, "build", build)
    typed(monkeypatch, "--model", "gaitset", "--step", "50")
    rows = json.loads((OUT / "gaitset.json").read_text())["rows"]
    assert [row["status"] for row in rows] == ["ok", "failed"]
    assert "model.onnx" in rows[1]["reason"] and rows[1]["latency_ms"] is None and not rows[1]["worth"]
    said = capsys.readouterr().out
    assert f"failed: {rows[1]['reason']}" in said
    assert "scope: global" in said and "will differ" in said
    assert (OUT / "gaitset.png").exists()


@pytest.mark.parametrize(
    ("change", "words", "said"),
    [
        ("", ["--device", "nano"], "no device nano"),
        ("", ["--model", "gaitste"], "unknown model gaitste"),
        ("no facts", [], "python -m remote probe local"),
        ("other facts", [], "python -m remote probe local"),
        ("", ["--step", "0"], "--step 0: must be at least 0.1 and less than 100"),
    ],
)
def test_what_does_not_fit_is_one_line(
    here: Path, monkeypatch: pytest.MonkeyPatch, change: str, words: list[str], said: str
) -> None:
    recorded = here / "remote/facts/local.json"
    if change == "no facts":
        recorded.unlink()
    elif change == "other facts":
        facts.write(recorded, {**facts.read(recorded, "local"), "runtime_version": "0.1"})
    with pytest.raises((DeviceError, StageError, ParamsError)) as raised:
        typed(monkeypatch, *words)
    assert said in str(raised.value) and "\n" not in str(raised.value)
    assert not (here / "results").exists()


@pytest.mark.slow
def test_a_keras_model_is_scouted_too(here: Path) -> None:
    # TensorFlow takes its number of threads once in a process, so it has one of its own, in which times are made.
    code = (
        "import sys\n"
        "from gaitpress.commands import scout\n"
        "from tests.gaitpress.test_scout import PythonRuntime, made_timing\n"
        "PythonRuntime.times = lambda self, folders, *rest: (made_timing(self.check(one)['bytes']) for one in folders)\n"
        "sys.argv = ['scout', '--device', 'local', '--model', 'cnn2d', '--step', '60']\n"
        "scout.main()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=here, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("worth fine-tuning: 0 (the baseline), 60")
    rows = json.loads((here / OUT / "cnn2d.json").read_text())["rows"]
    assert rows[1]["macs"] < rows[0]["macs"]


def test_an_error_ends_the_command_and_help_needs_no_framework(here: Path) -> None:
    line = [sys.executable, "-m", "gaitpress", "scout", "--device", "nano"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=here, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1
    code = (
        "import sys, runpy; sys.argv = ['gaitpress', 'scout', '--help']\n"
        "try: runpy.run_module('gaitpress', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print('LOADED', sorted({'torch', 'tensorflow', 'keras', 'mlflow', 'matplotlib'} & set(sys.modules)))"
    )
    helped = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "--step" in helped.stdout and helped.stdout.splitlines()[-1] == "LOADED []"
