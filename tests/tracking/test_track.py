"""Records in a real MLflow database."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gaitpress import outputs
from gaitpress.errors import StageError
from gaitpress.results.folders import Folders
from stages.track import track
from tests.support import commands
from tests.support.device_world import World
from tests.support.toy import ROOT, make_small
from tracking import curves
from tracking.server import TrackingServer


def tracked(world: World) -> dict[str, Any]:
    return track(world.where / "results", world.where / "receipt.json", world.settings)


def keep_settings(world: World, percentile: float) -> None:
    """What train and finetune keep beside a model that was measured since."""
    made_with = json.loads((world.quantized(percentile) / "settings.json").read_text())
    sections = {"train": ("data", "model"), "finetune": ("data", "model", "prune", "finetune")}
    places = {"train": "gaitset", "finetune": f"gaitset/p{percentile}"}
    for name, kept in sections.items():
        folder = getattr(Folders(world.where / "results"), name) / places[name]
        folder.mkdir(parents=True, exist_ok=True)
        outputs.write_json(folder / "settings.json", {key: made_with[key] for key in kept})


def client(world: World) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{world.where}/mlflow.db")


def runs(world: World) -> list[Any]:
    mlflow = client(world)
    return list(mlflow.search_runs([mlflow.get_experiment_by_name("gait").experiment_id]))


def edit(world: World, percentile: float, **values: Any) -> None:
    world.keep(percentile, {**world.joined(percentile), **values})


def test_each_variant_is_one_flat_run_with_its_settings_figures_and_tags(world: World) -> None:
    receipt = tracked(world)
    by_variant = {run.data.tags["variant"]: run for run in runs(world)}
    assert set(by_variant) == set(receipt["variants"]) == {f"walkers/local/gaitset/p{p}-fp32" for p in (0, 50)}
    run, record = by_variant["walkers/local/gaitset/p50-fp32"], world.joined(50)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "gaitset p50 fp32 @ local"
    assert run.data.params["percentile"] == "50"
    assert run.data.params["training.width"] == str(world.settings.model["gaitset"].width)
    assert run.data.metrics["latency_p50_ms"] == record["latency_ms"]["p50"]
    assert run.data.metrics["rank1_mean"] == record["accuracy"]["rank1"]["mean"]
    assert (run.data.tags["data"], run.data.tags["evidence"]) == ("synthetic", "host")
    assert run.data.tags["distance"] == run.data.params["test.distance"] == record["accuracy"]["distance"] == "euclidean"
    saved = json.loads(Path(client(world).download_artifacts(run.info.run_id, "record.json")).read_text())
    assert saved == record


def train(world: World, monkeypatch: pytest.MonkeyPatch, loss: float, seconds: float = 0.0) -> None:
    """A training of so many seconds, which ends with this loss, and its history; tests of the curves have more of it."""
    folder = world.where / "results/train/gaitset"
    history = [{"iteration": step, "loss": loss / step, "lr": 0.1} for step in (3, 2, 1)]
    monkeypatch.setattr(curves, "MLFLOW_AFTER_S", 0.0 if not seconds else 1e9)
    monkeypatch.setattr(curves, "LOGS", world.where / "logs")
    with curves.Curves("train/gaitset", world.where / "curves.json", world.settings.mlflow) as watcher:
        watcher.begin_phase()
        for number, row in enumerate(history, start=1):
            watcher.step(number, 3)
            watcher.row(number, row)
    (world.where / "curves.json").unlink()
    outputs.write_json(folder / "history.json", history)


def training_runs(world: World) -> list[str]:
    mlflow = client(world)
    experiment = mlflow.get_experiment_by_name("gait-training").experiment_id
    return [run.info.run_id for run in mlflow.search_runs([experiment], order_by=["attributes.start_time"])]


def parents(world: World) -> dict[str, str | None]:
    now = [run for run in runs(world) if run.data.tags["superseded"] == "false"]
    return {run.data.tags["variant"]: run.data.tags.get("mlflow.parentRunId") for run in now}


def test_runs_are_linked_to_the_training_that_they_come_from(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_settings(world, 0)
    tracked(world)
    assert set(parents(world).values()) == {None}
    for loss in (0.1 + 0.2, 0.7):  # two trainings by the same settings, such as before and after an edit of the code
        train(world, monkeypatch, loss)
    first, second = training_runs(world)
    tracked(world)  # logged already
    assert set(parents(world).values()) == {second}
    train(world, monkeypatch, 0.1 + 0.2, seconds=1)  # the former weights again, such as by `dvc checkout`
    edit(world, 50, measured_at="2031-01-01T00:00:00+00:00")
    tracked(world)
    assert set(parents(world).values()) == {first}


def test_a_training_of_other_settings_or_without_a_run_is_no_parent(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_settings(world, 0)
    train(world, monkeypatch, 0.3)
    train(world, monkeypatch, 0.4, seconds=1)
    tracked(world)
    assert set(parents(world).values()) == {None}
    train(world, monkeypatch, 0.3, seconds=1)
    made_with = json.loads((world.where / "results/train/gaitset/settings.json").read_text())
    outputs.write_json(world.where / "results/train/gaitset/settings.json", {**made_with, "model": {"seed": 2}})
    tracked(world)
    assert set(parents(world).values()) == {None}


def test_tracking_twice_makes_no_duplicates(world: World) -> None:
    first = tracked(world)
    assert tracked(world) == first
    assert len(runs(world)) == 2


def test_a_variant_measured_anew_gets_a_new_run_and_setting_it_back_revives_the_old_one(world: World) -> None:
    first = tracked(world)["variants"]
    old = world.joined(50)
    edit(world, 50, measured_at="2031-01-01T00:00:00+00:00")
    second = tracked(world)["variants"]
    changed = "walkers/local/gaitset/p50-fp32"
    assert {name for name in first if first[name] != second[name]} == {changed}
    superseded = {run.info.run_id: run.data.tags["superseded"] for run in runs(world)}
    assert superseded[first[changed]["run_id"]] == "true"
    assert superseded[second[changed]["run_id"]] == "false"
    outputs.write_json(world.record(50), old)
    assert tracked(world)["variants"] == first
    superseded = {run.info.run_id: run.data.tags["superseded"] for run in runs(world)}
    assert superseded[first[changed]["run_id"]] == "false"
    assert superseded[second[changed]["run_id"]] == "true"


def test_nothing_that_the_user_made_is_lost(world: World) -> None:
    receipt = tracked(world)
    mlflow = client(world)
    experiment = mlflow.get_experiment_by_name("gait").experiment_id
    own = mlflow.create_run(experiment, run_name="my own")
    run_id = receipt["variants"]["walkers/local/gaitset/p0-fp32"]["run_id"]
    mlflow.set_tag(run_id, "note", "the good one")
    edit(world, 0, measured_at="2031-01-01T00:00:00+00:00")
    tracked(world)
    assert mlflow.get_run(own.info.run_id).info.lifecycle_stage == "active"
    assert mlflow.get_run(run_id).data.tags["note"] == "the good one"


def test_runs_of_variants_that_are_no_longer_listed_stay(world: World) -> None:
    tracked(world)
    world.write_params({"percentiles": [0]})
    assert set(tracked(world)["variants"]) == {"walkers/local/gaitset/p0-fp32"}
    listed = {run.data.tags["percentile"]: run.data.tags["listed"] for run in runs(world)}
    assert listed == {"0": "true", "50": "false"}
    world.write_params({"percentiles": [0, 50]})
    tracked(world)
    assert {run.data.tags["listed"] for run in runs(world)} == {"true"}
    assert len(runs(world)) == 2


def test_a_run_has_its_curves_network_tables_and_data(world: World) -> None:
    where = Folders(world.where / "results")
    outputs.write_json(where.train / "gaitset/history.json", [{"iteration": n + 1, "loss": 1 / (n + 1)} for n in range(500)])
    outputs.write_json(
        where.finetune / "gaitset/p50/history.json", [{"iteration": 1, "loss": 0.5}, {"iteration": 2, "loss": 0.25}]
    )
    keep_settings(world, 50)
    run_id = tracked(world)["variants"]["walkers/local/gaitset/p50-fp32"]["run_id"]
    mlflow = client(world)
    finetuning = [(point.step, point.value) for point in mlflow.get_metric_history(run_id, "finetuning/loss")]
    assert finetuning == [(1, 0.5), (2, 0.25)]
    training = mlflow.get_metric_history(run_id, "training/loss")
    assert (len(training), training[-1].step) == (167, 500)
    files = {file.path for file in mlflow.list_artifacts(run_id)}
    assert files == {"record.json", "signature.json", "rank1_by_view.png", "model.onnx"}
    network = Path(mlflow.download_artifacts(run_id, "model.onnx"))
    assert network.read_bytes() == (world.quantized(50) / "model.onnx").read_bytes()
    run = mlflow.get_run(run_id)
    test_set = json.loads(world.test.read_text())
    [dataset] = {(entry.dataset.name, entry.dataset.digest, entry.dataset.profile) for entry in run.inputs.dataset_inputs}
    assert dataset[0] == "walkers"
    assert test_set["digest"].startswith(dataset[1])
    assert json.loads(dataset[2])["sequences"]["probe"] == len(test_set["probe"])
    assert run.data.tags["dvc_stage"] == "benchmark@local-gaitset-50-fp32"
    assert "synthetic data" in run.data.tags["mlflow.note.content"]


def test_a_run_tells_of_the_settings_that_were_measured_whatever_params_yaml_says_now(world: World) -> None:
    changed = "walkers/local/gaitset/p50-fp32"
    first = tracked(world)["variants"]
    params = {run.info.run_id: run.data.params for run in runs(world)}[first[changed]["run_id"]]
    measured = world.settings
    make_small(world.params, **{"model.gaitset.seed": 77, "prune.criterion": "l2", "benchmark.warmup_s": 9.0})
    assert world.settings.model["gaitset"].seed == 77
    assert tracked(world)["variants"][changed] == first[changed]
    assert (params["training.seed"], params["prune.criterion"]) == (
        str(measured.model["gaitset"].seed),
        measured.prune.criterion,
    )
    assert params["benchmark.warmup_s"] == str(measured.benchmark.warmup_s)
    # Nor has a run measured anew what was trained since and has not been measured.
    where = Folders(world.where / "results")
    outputs.write_json(where.train / "gaitset/history.json", [{"iteration": 1, "loss": 1.0}])
    keep_settings(world, 50)
    settings = json.loads((where.train / "gaitset/settings.json").read_text())
    outputs.write_json(where.train / "gaitset/settings.json", {**settings, "model": {**settings["model"], "seed": 77}})
    (world.quantized(50) / "model.onnx").write_bytes(b"another")
    edit(world, 50, measured_at="2031-01-01T00:00:00+00:00")
    run_id = tracked(world)["variants"][changed]["run_id"]
    assert not client(world).get_metric_history(run_id, "training/loss")
    assert "model.onnx" not in {file.path for file in client(world).list_artifacts(run_id)}


def test_a_description_of_ones_own_stays(world: World) -> None:
    tracked(world)
    mlflow = client(world)
    experiment = mlflow.get_experiment_by_name("gait")
    assert "Compare" in experiment.tags["mlflow.note.content"]
    mlflow.set_experiment_tag(experiment.experiment_id, "mlflow.note.content", "ours")
    tracked(world)
    assert mlflow.get_experiment_by_name("gait").tags["mlflow.note.content"] == "ours"


def test_the_description_leads_to_the_runs_of_this_experiment(world: World) -> None:
    tracked(world)
    experiment = client(world).get_experiment_by_name("gait")
    assert f"(#/experiments/{experiment.experiment_id}/runs?" in experiment.tags["mlflow.note.content"].splitlines()[0]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "custom_model_development"),
        pytest.param(
            "no_inferred_type", "custom_model_development", marks=pytest.mark.slow
        ),  # these two are guesses of MLflow's pages
        ("genai_development_inferred", "custom_model_development"),
        ("genai_development", "genai_development"),  # a choice of somebody's
    ],
)
def test_an_experiment_says_of_what_kind_it_is_also_one_that_was_there(world: World, before: str | None, after: str) -> None:
    mlflow = client(world)
    tags = {"mlflow.experimentKind": before} if before else None
    mlflow.create_experiment("gait", artifact_location=(world.where / "artifacts").as_uri(), tags=tags)
    tracked(world)
    assert mlflow.get_experiment_by_name("gait").tags["mlflow.experimentKind"] == after


def test_what_an_interrupted_session_left_is_logged_again(world: World) -> None:
    receipt = tracked(world)
    run_id = receipt["variants"]["walkers/local/gaitset/p50-fp32"]["run_id"]
    client(world).update_run(run_id, status="RUNNING")
    again = tracked(world)["variants"]["walkers/local/gaitset/p50-fp32"]["run_id"]
    assert again != run_id
    assert {run.info.run_id for run in runs(world) if run.data.tags["percentile"] == "50"} == {again}


def test_a_failed_variant_is_a_failed_run_with_its_reason(world: World) -> None:
    edit(world, 50, status="failed", reason="no kernel", valid=False, latency_ms=None, accuracy=None)
    tracked(world)
    [run] = [run for run in runs(world) if run.data.tags["percentile"] == "50"]
    assert (run.info.status, run.data.tags["status"], run.data.tags["reason"]) == ("FAILED", "failed", "no kernel")
    assert "rank1_mean" not in run.data.metrics


@pytest.mark.slow
def test_colleagues_with_one_server_share_the_runs_of_the_same_results(
    world: World, mlflow_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    mine = tracked(world)
    assert mine["tracking_uri"] == mlflow_server
    (world.where / "receipt.json").unlink()  # which a colleague's clone does not have
    assert tracked(world) == mine

    from mlflow import MlflowClient

    shared = MlflowClient(mlflow_server)
    logged_runs = shared.search_runs([shared.get_experiment_by_name("gait").experiment_id])
    assert {run.data.tags["variant"]: run.info.run_id for run in logged_runs} == {
        variant: logged["run_id"] for variant, logged in mine["variants"].items()
    }
    run_id = mine["variants"]["walkers/local/gaitset/p50-fp32"]["run_id"]
    network = Path(shared.download_artifacts(run_id, "model.onnx"))
    assert network.read_bytes() == (world.quantized(50) / "model.onnx").read_bytes()
    assert not list(world.where.glob("mlartifacts/gait/*"))


def test_the_environment_variable_goes_before_the_params(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{world.where}/other.db")
    assert tracked(world)["tracking_uri"].endswith("other.db")
    assert (world.where / "other.db").is_file()
    assert not list(world.where.glob(".*.db*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("revision", "said"),
    [
        ("ffffffffffff", "a newer MLflow than {version}, which is installed here, made it"),
        ("451aebb31d03", "an older MLflow made it; copy it, then type `mlflow db upgrade {uri}`"),
    ],
)
def test_a_database_of_another_mlflow_is_reported_with_what_to_do(world: World, revision: str, said: str) -> None:
    import mlflow

    database = world.where / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    uri = f"sqlite:///{database}"
    server = TrackingServer(uri, "gaitpress")
    with pytest.raises(StageError) as raised, server.errors_in_one_line():
        server.open()
    assert said.format(version=mlflow.__version__, uri=uri) in str(raised.value)


@pytest.mark.parametrize("kept", [0.3, None], ids=["cut", "text"])
def test_a_damaged_database_is_reported_with_what_to_do_and_stays(world: World, kept: float | None) -> None:
    database = world.where / "mlflow.db"
    whole = database.read_bytes()
    left = b"notes" if kept is None else whole[: int(kept * len(whole))]
    database.write_bytes(left)
    server = TrackingServer(f"sqlite:///{database}", "gaitpress")
    with pytest.raises(StageError, match="the file is damaged, or no database; move it away"), server.errors_in_one_line():
        server.open()
    assert database.read_bytes() == left


@pytest.mark.slow
def test_processes_that_make_the_database_at_once_share_it(tmp_path: Path) -> None:
    # What killed ones left is no hindrance.
    for left in ("mlflow.db.lock", ".mlflow.db.partial"):
        (tmp_path / left).write_text("left")
    code = (
        "import sys\n"
        "import mlflow\n"
        "from tracking.server import TrackingServer\n"
        "server = TrackingServer(sys.argv[1], 'gait')\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "server.open()\n"
        "print(server.begin('run', {}))\n"
    )
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    command = [sys.executable, "-W", "ignore", "-c", code, uri]
    started = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in started:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    printed = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0, 0], printed
    from mlflow import MlflowClient

    experiments = {MlflowClient(uri).get_run(run_id.strip()).info.experiment_id for run_id, _ in printed}
    assert len(experiments) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


def test_a_server_that_cannot_be_reached_is_one_line_without_the_password(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = "http://me:secret@127.0.0.1:9/mlflow?token=secret"
    receipt = world.where / "receipt.json"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    started = time.monotonic()
    done = commands.stage("track", "--params", world.params, "--results", world.where / "results", "--receipt", receipt)
    assert done.returncode == 1
    assert done.stderr.startswith("error: MLflow at http://127.0.0.1:9/mlflow cannot be reached")
    assert "secret" not in done.stdout + done.stderr
    assert not receipt.exists()
    assert time.monotonic() - started < 60


def test_the_receipt_of_a_database_with_a_password_does_not_hold_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from tracking.addresses import without_credentials

    assert without_credentials("postgresql://me:secret@db.example:5432/mlflow") == "postgresql://db.example:5432/mlflow"
    assert without_credentials("sqlite:///mlflow.db") == "sqlite:///mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{world.where}/mlflow.db?timeout=20&token=secret")
    tracked(world)
    assert "secret" not in (world.where / "receipt.json").read_text()
