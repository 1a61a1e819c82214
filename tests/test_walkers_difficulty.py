"""The demo's own models on the demo's own data: neither too easy nor too hard, and better than no learning at all."""

from pathlib import Path

import pytest

from benchmarks import walkers
from tests.support.toy import copy_repository, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    where = copy_repository(tmp_path_factory.mktemp("demo"))
    run(["snakemake", "--cores", "2", "results/train/gaitset", "results/train/cnn2d"], Path(where))
    return {row["name"]: row for row in walkers.measure(where)["rows"]}


@pytest.mark.parametrize("model", ["gaitset", "cnn2d"])
def test_a_dense_model_is_between_60_and_95_percent(rows: dict[str, dict], model: str) -> None:
    assert 60 <= rows[model]["rank1"]["mean"] <= 95


@pytest.mark.parametrize("model", ["gaitset", "cnn2d"])
def test_a_dense_model_is_above_the_gait_energy_image(rows: dict[str, dict], model: str) -> None:
    ours, baseline = rows[model]["rank1"], rows["gait-energy image"]["rank1"]
    assert ours["mean"] > baseline["mean"]
    for condition in ("nm", "bg", "cl"):
        image = baseline["conditions"][condition]["rate"]
        # Normal walks from views 18 degrees apart may be so alike that the image recognises all: nothing is above that.
        assert ours["conditions"][condition]["rate"] > image or (condition, image) == ("nm", 100)


@pytest.mark.parametrize("name", ["gaitset", "cnn2d", "gait-energy image"])
def test_a_coat_hinders_recognition_beyond_the_interval(rows: dict[str, dict], name: str) -> None:
    low, high = rows[name]["nm_minus_cl"]
    assert 0 < low < high
