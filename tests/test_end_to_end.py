"""The whole DAG on walkers at toy scale, by the commands that users type."""

import json
import re
from pathlib import Path

import pytest

from tests.support.toy import copy_repository, evaluated, make_small, rates, run

# The Keras stages of the fast tests run in one process, in tests/stages/test_keras_stages.py.
BOTH = pytest.param((["cnn2d", "gaitset"], ["fp32", "int8"]), id="all", marks=pytest.mark.slow)


@pytest.fixture(scope="module", params=[pytest.param((["gaitset"], ["fp32"]), id="one"), BOTH])
def axes(request: pytest.FixtureRequest) -> tuple[list[str], list[str]]:
    """The models and the precisions."""
    return request.param


@pytest.fixture(scope="module")
def models(axes: tuple[list[str], list[str]]) -> list[str]:
    return axes[0]


@pytest.fixture(scope="module")
def done(axes: tuple[list[str], list[str]], tmp_path_factory) -> Path:
    """A repository in which `snakemake all` has run."""
    models, precisions = axes
    where = copy_repository(tmp_path_factory.mktemp("end-to-end"))
    less = {"precisions": precisions}
    if "cnn2d" not in models:
        less |= {"modalities": ["silhouette"], "datasets.walkers.frames": 10}
    make_small(where / "params.yaml", models=models, **less)
    run(["snakemake", "--cores", "2", "all"], where)
    return where


@pytest.fixture(scope="module")
def records(done: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(done.glob("results/benchmark/local/*/*.json"))]


def test_every_variant_has_a_measured_record(done: Path, axes: tuple[list[str], list[str]], records: list[dict]) -> None:
    variants = {(r["variant"]["model"], r["variant"]["percentile"], r["variant"]["precision"]) for r in records}
    assert variants == {(model, 50, precision) for model in axes[0] for precision in axes[1]}
    for record in records:
        assert record["status"] == "ok", record["reason"]
        assert record["evidence"] == "host"
        assert record["data"] == "synthetic"
        assert record["latency_ms"]["p50"] > 0
        accuracy = rates(done, "local", record["variant"]["model"], 50, record["variant"]["precision"])
        assert accuracy["source"] == "engine"
        assert 0 <= accuracy["rank1"]["mean"] <= 100


def test_the_fp32_engine_identifies_as_the_framework_does(done: Path, models: list[str]) -> None:
    for model in models:
        engine, network = rates(done, "local", model, 50), evaluated(done, model, 50)
        for kind in ("nm", "bg", "cl"):
            one, other = (of["rank1"]["conditions"][kind]["rate"] for of in (engine, network))
            assert one == pytest.approx(other, abs=1e-3)


def test_pruning_made_the_models_smaller(done: Path, models: list[str]) -> None:
    for model in models:
        metrics = json.loads((done / f"results/prune/{model}/p50/metrics.json").read_text())
        assert metrics["filters"] < metrics["filters_before"]
        assert metrics["params"] < metrics["params_before"]


def test_the_report_and_mlflow_hold_every_variant(done: Path, records: list[dict]) -> None:
    page = (done / "results/report/index.html").read_text(encoding="utf-8")
    assert "synthetic" in page
    assert not re.search(r"""(src|href|url\()[="']*https?:""", page), "the page must be readable without a network"
    table = (done / "results/report/pareto.txt").read_text(encoding="utf-8")
    assert table.count("gaitset") >= sum(record["variant"]["model"] == "gaitset" for record in records)
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{done}/mlflow.db")
    experiment = client.get_experiment_by_name("gaitpress")
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == len(records)
    assert all("rank1_mean" in run.data.metrics for run in runs)


def test_afterwards_both_engines_have_nothing_to_do(done: Path) -> None:
    assert "Nothing to be done" in run(["snakemake", "--cores", "2", "all"], done)
    assert json.loads(run(["dvc", "status", "--json"], done)) == {}
    assert "Running stage" not in run(["dvc", "repro"], done)


def test_a_run_leaves_nothing_for_git_but_the_lock_file(done: Path) -> None:
    changed = {line[3:] for line in run(["git", "status", "--porcelain"], done).splitlines()}
    assert changed == {"params.yaml", "dvc.lock"}
