"""The champion of MLflow's registry, in a real MLflow database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gaitpress import outputs
from gaitpress.commands import promote
from gaitpress.commands.select.choice import Limits
from gaitpress.results.folders import Folders
from gaitpress.results.records import Row, load
from tests.support.device_world import World
from tests.tracking.test_track import tracked

NONE = Limits()


@pytest.fixture
def home(world: World) -> World:
    """Two tracked variants whose times are valid, however busy the machine is."""
    for percentile in (0, 50):
        record = json.loads(world.record(percentile).read_text())
        outputs.write_json(world.record(percentile), {**record, "valid": True, "invalid_reasons": []})
    tracked(world)
    return world


def row(home: World, percentile: int) -> Row:
    return next(row for row in load(Folders(home.where / "results"), home.settings) if row.percentile == percentile)


def proposed(home: World, percentile: int, limits: Limits = NONE) -> promote.Outcome:
    return promote.propose(row(home, percentile), Folders(home.where / "results"), home.settings, limits)


def client(home: World) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=home.settings.mlflow.tracking_uri)


def champion(home: World) -> str:
    return str(client(home).get_model_version_by_alias("gait-walkers-local", "champion").tags["variant"])


def lose(home: World, percentile: int, every: int) -> None:
    """Take one in so many hits from a variant."""
    path = home.rates(percentile)
    rates = json.loads(path.read_text())
    from gait.people import ByPerson

    hits = ByPerson.from_json(rates["rank1_by_person"])
    fewer = hits.hits.copy()
    fewer.ravel()[::every] = np.maximum(fewer.ravel()[::every].astype(np.int64) - 1, 0)
    worse = ByPerson(hits.people, fewer, hits.counted)
    rates["rank1_by_person"] = worse.to_json()
    rates["accuracy"]["rank1"]["mean"] = worse.mean
    outputs.write_json(path, rates)


def test_the_first_that_keeps_the_limits_is_the_champion(home: World) -> None:
    refused = proposed(home, 0, Limits(max_size=1.0))
    assert [reason.partition(" ")[0] for reason in refused.reasons] == ["size"]
    assert client(home).get_model_version_by_alias("gait-walkers-local", "candidate").version == 1
    with pytest.raises(Exception, match="champion"):
        champion(home)
    passed = proposed(home, 0)
    assert (passed.reasons, passed.before, passed.version.number) == ([], None, "1")
    assert champion(home) == "local/gaitset/p0-fp32"
    again = proposed(home, 0)
    assert again.before is not None and again.before.number == again.version.number == "1"
    assert promote.in_words(row(home, 0), again).endswith("champion already: nothing changed")


def test_a_champion_that_no_longer_passes_is_reported_and_stays(home: World) -> None:
    proposed(home, 0)
    now = proposed(home, 0, Limits(max_size=1.0))
    assert (now.champion, len(now.reasons)) == (True, 1)
    assert "champion still, but it would not pass now:\n  size" in promote.in_words(row(home, 0), now)
    assert champion(home) == "local/gaitset/p0-fp32"


def test_the_next_champion_loses_no_more_than_it_may(home: World) -> None:
    proposed(home, 0)
    lose(home, 50, 2)
    tracked(home)
    loss = row(home, 0).rank1 - row(home, 50).rank1
    assert loss > 1
    refused = proposed(home, 50)
    (reason,) = refused.reasons
    assert f"it loses {loss:.1f} points of mean rank-1" in reason
    assert "against the champion, version 1 (local/gaitset/p0-fp32), more than promote.max_loss = 1" in reason
    assert champion(home) == "local/gaitset/p0-fp32"
    home.write_params({"promote": {"max_loss": 100}})
    assert proposed(home, 50).reasons == []
    assert champion(home) == "local/gaitset/p50-fp32"


def test_a_better_champion_gains_points(home: World) -> None:
    lose(home, 50, 2)
    tracked(home)
    proposed(home, 50)
    gain = row(home, 0).rank1 - row(home, 50).rank1
    said = promote.in_words(row(home, 0), proposed(home, 0))
    assert "champion in place of version 1, for it keeps all limits, promote.max_loss too:\n" in said
    assert f"\n  it gains {gain:.1f} points of mean rank-1 (95 %: " in said


def test_a_loss_that_must_be_sure_counts_to_the_end_of_its_interval(home: World) -> None:
    proposed(home, 0)
    lose(home, 50, 7)
    tracked(home)
    loss = row(home, 0).rank1 - row(home, 50).rank1
    for sure in (True, False):
        home.write_params({"promote": {"max_loss": loss + 0.01, "sure": sure}})
        assert bool(proposed(home, 50).reasons) == sure


def test_the_champion_is_loaded_and_asked(home: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proposed(home, 0)
    from mlflow import pyfunc

    monkeypatch.setenv("MLFLOW_TRACKING_URI", home.settings.mlflow.tracking_uri)
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", home.settings.mlflow.tracking_uri)
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    model = pyfunc.load_model("models:/gait-walkers-local@champion")
    people = {}
    for name, half in (("ada", 6), ("bo", 14)):
        frames = np.zeros((5, 60, 60), np.uint8)
        frames[:, 5:55, 30 - half : 30 + half] = 255
        people[name] = frames
    gallery = {name: model.predict({"silhouettes": frames}) for name, frames in people.items()}
    assert gallery["ada"].dtype == np.float32
    for name, frames in people.items():
        nearest = model.predict({"silhouettes": frames, "gallery": gallery})
        assert nearest[0] == (name, pytest.approx(0, abs=1e-9))


def test_a_variant_without_a_run_says_what_to_type(home: World) -> None:
    lose(home, 50, 2)  # another measurement than that of its run
    (home.quantized(50) / "model.onnx").unlink()  # which a bundle needs: it is not begun without a run
    with pytest.raises(Exception, match=r"has no run of local/gaitset/p50-fp32 as it is now; run `dvc repro track`"):
        proposed(home, 50)


@pytest.mark.slow
def test_a_server_keeps_the_champion(home: World, mlflow_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    tracked(home)
    assert proposed(home, 0).reasons == []
    from mlflow import pyfunc

    model = pyfunc.load_model("models:/gait-walkers-local@champion")
    frames = np.zeros((5, 60, 60), np.uint8)
    frames[:, 5:55, 20:40] = 255
    assert model.predict({"silhouettes": frames}).dtype == np.float32
    assert proposed(home, 50).before is not None
