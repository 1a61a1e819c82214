"""What is forecast of a run is what the run then does."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from dvc.stage.loader import StageLoader
from hypothesis import given
from hypothesis import strategies as st

from gaitpress.commands.forecast import Forecast, report
from gaitpress.commands.forecast import forecast as costs
from gaitpress.durations import StageTimes, recorded
from tests.support.toy import ROOT, environment
from tests.support.toy_pipeline import SMALL, Toy
from workflow.dvc import private
from workflow.dvc.way import Fate, Foreseen

DEVICES = ("local", "my", "my-board")


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    made = Toy.make(tmp_path_factory.mktemp("toy"), percentiles=(0,), declared=SMALL)
    made.edit(r"models: \[.*?\]", "models: [gaitset]")
    made.dvc("repro")  # the faster of the two
    return made


def forecast(toy: Toy) -> dict[str, Any]:
    command = [sys.executable, "-m", "gaitpress", "forecast", "--json"]
    done = subprocess.run(command, cwd=toy.where, env=environment(), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.slow
def test_edits_cost_what_was_forecast(toy: Toy) -> None:
    before = (toy.where / "dvc.lock").read_bytes()
    assert forecast(toy)["runs"] == {}
    lr = r"(?s)(gaitset:.*?lr: )[0-9.e-]+"
    toy.edit(lr, r"\g<1>0.5")
    foreseen = forecast(toy)
    assert "train@gaitset" in foreseen["runs"] and "dataset" not in foreseen["runs"]
    assert all(seconds is not None for seconds in foreseen["runs"].values())
    assert (toy.where / "dvc.lock").read_bytes() == before
    assert toy.snakemake() == set(foreseen["runs"])

    toy.edit(lr, r"\g<1>0.25")
    toy.dvc("repro")
    toy.edit(lr, r"\g<1>0.5")
    foreseen = forecast(toy)
    # All is known, as far as what the report and MLflow get, which are folders that hold more than these.
    assert foreseen["runs"].keys() <= {"track"}
    assert {"train@gaitset", "prune@gaitset-0", "report"} <= set(foreseen["restored"])
    assert toy.snakemake() == set(foreseen["runs"])


@pytest.mark.slow
def test_a_new_percentile_is_forecast_by_what_others_took(toy: Toy) -> None:
    toy.edit(r"percentiles: \[(.*?)\]", r"percentiles: [\1, 75]")
    foreseen = forecast(toy)
    assert {"prune@gaitset-75", "report", "track"} <= set(foreseen["runs"])
    assert not foreseen["restored"]
    assert all(seconds is not None for seconds in foreseen["runs"].values())
    assert toy.dvc("repro") == set(foreseen["runs"])


@pytest.mark.slow
def test_what_was_deleted_comes_back_and_what_follows_from_it_does_not_run(toy: Toy) -> None:
    toy.snakemake()
    for folder in ("data/raw", "results/train", "results/report"):
        shutil.rmtree(toy.where / folder)
    foreseen = forecast(toy)
    assert foreseen["runs"].keys() <= {"track"}
    assert {"dataset", "train@gaitset", "report"} <= set(foreseen["restored"])
    assert toy.snakemake() == set(foreseen["runs"])


def test_a_mistake_in_the_settings_is_refused_as_by_a_run(tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text.replace("[0, 30, 60]", "[0, 30, 140]"), encoding="utf-8")
    command = [sys.executable, "-m", "gaitpress", "forecast"]
    there = environment() | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=there, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: params.yaml: prune.percentiles[2] = 140: must be at least 0 and less than 100\n"


def test_durations_are_the_last_ones_and_those_of_the_most_alike(tmp_path: Path) -> None:
    listed = tmp_path / "durations.csv"
    assert recorded(listed) == {}
    listed.write_text(
        "prune@gaitset-0,9.0\nprune@gaitset-30,2.5\ntrain@gaitset,80.0\nprune@cnn2d-30,4.0\nprune@gaitset-0,3.0\nprune@gaitset-30,"
    )
    durations = recorded(listed)
    assert durations == {"prune@gaitset-30": 2.5, "train@gaitset": 80.0, "prune@cnn2d-30": 4.0, "prune@gaitset-0": 3.0}
    times = StageTimes(durations, DEVICES)
    assert times.likely("prune@gaitset-0") == 3.0
    assert times.likely("prune@gaitset-45") == 3.0  # the same model, which ran last
    assert times.likely("prune@cnn2d-45") == 4.0
    assert times.likely("train@gln") == 80.0
    assert times.likely("report") is None


def test_a_device_costs_what_it_took_itself() -> None:
    durations = {"build@my-board-gaitset-0": 90.0, "build@local-gaitset-0": 2.0, "build@gone-gaitset-30": 5.0}
    times = StageTimes(durations, DEVICES)
    assert times.likely("build@my-board-gaitset-30") == 90.0
    assert times.likely("build@local-gaitset-30") == 2.0
    assert times.likely("build@my-gaitset-30") is None
    new = [Foreseen(f"build@{item}", (), Fate.RUNS) for item in ("local-gaitset-0", "local-gaitset-30", "my-gaitset-30")]
    text = report(costs(new, durations, DEVICES))
    assert "  build          3             4 s, 1 not run yet, 1 of them guessed by a similar one" in text.splitlines()


def test_every_stage_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Toy.make(tmp_path, percentiles=(0,), declared=SMALL)
    load, loaded = StageLoader.load_stage, Counter[str]()

    def counted(dvcfile: Any, name: str, *others: Any) -> Any:
        loaded[name] += 1
        return load(dvcfile, name, *others)

    monkeypatch.setattr(StageLoader, "load_stage", staticmethod(counted))
    with chdir(toy.where):
        addresses = [stage.address for stage in private.foreseen()]
    assert loaded == Counter(addresses)
    assert len(addresses) >= 7


PATHS = st.lists(st.sampled_from(["a", "b", "aa"]), min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(st.lists(PATHS, max_size=12), PATHS)
def test_things_are_found_by_their_places_as_by_looking_at_each(paths: list[str], asked: str) -> None:
    places: private.Places[int] = private.Places()
    for thing, path in enumerate(paths):
        places.add(path, thing)
    assert places.within(asked) == [n for n, path in enumerate(paths) if f"{path}/".startswith(f"{asked}/")]
    assert sorted(places.around(asked)) == [n for n, path in enumerate(paths) if f"{asked}/".startswith(f"{path}/")]


class Looked(dict[str, float]):
    """Durations that count how often somebody went through all of them."""

    times = 0

    def items(self) -> Any:
        self.times += 1
        return super().items()

    def __iter__(self) -> Any:
        self.times += 1
        return super().__iter__()


def test_all_durations_are_gone_through_once_however_many_stages_are_new() -> None:
    durations = Looked({f"prune@gaitset-{percentile}": 3.0 for percentile in range(50)})
    new = [Foreseen(f"prune@gaitset-{percentile}.5", (), Fate.RUNS) for percentile in range(50)]
    assert costs(new, durations, DEVICES).total_s == 150
    assert durations.times == 1


def test_the_report_says_what_is_not_known() -> None:
    assert report(Forecast(stages=9)) == "All 9 stages are up to date."
    text = report(Forecast(9, ["export@a"], {"train@a": 3700.0, "train@b": 95.0, "probe@board": None}, longest_s=3700.0))
    assert text.splitlines() == [
        "3 of 9 stages run; 1 come back from DVC's run-cache.",
        "  train          2       1 h 3 min",
        "  probe          1     not run yet",
        "2 of them take 1 h 3 min one after the other.",
        "How long the other 1 take is known once they have run.",
    ]
    text = report(Forecast(9, [], {"train@a": 3700.0, "train@b": 95.0}, longest_s=3700.0))
    assert text.splitlines()[-2:] == [
        "One after the other they take 1 h 3 min if each takes as long as it last did,",
        "and with any number at a time at least 1 h 1 min.",
    ]
    assert len(report(Forecast(9, [], {"probe@board": None})).splitlines()) == 2
