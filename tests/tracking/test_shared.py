"""One MLflow for several people and places: whose runs are whose, files that are copied or moved, ways through proxies."""

from __future__ import annotations

import http.client
import random
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from mlflow import MlflowClient
from ruamel.yaml import YAML

from gaitpress import outputs, params
from stages.track import track
from tests.support import commands
from tests.support.many_records import rates_of, record
from tests.support.toy import ROOT
from tracking import workplaces

VARIANT = "walkers/local/gaitset/p0-fp32"


class Place:
    """A copy of the repository, as far as tracking goes: one measured variant."""

    def __init__(self, where: Path, uri: str | None = None) -> None:
        self.where, self.uri = where, uri or f"sqlite:///{where}/mlflow.db"
        data = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        data |= {"devices": ["local"], "models": ["gaitset"], "precisions": ["fp32"]}
        data |= {"mlflow": {"tracking_uri": self.uri, "experiment": "gait"}}
        data["prune"]["percentiles"] = [0]
        where.mkdir(parents=True, exist_ok=True)
        YAML().dump(data, where / "params.yaml")

    def measure(self, seed: int) -> None:
        rng = random.Random(seed)
        while (made := record(rng, "local", "gaitset", 0, "fp32"))["status"] != "ok":
            pass
        del made["rank1_by_view"]  # whose picture takes seconds
        outputs.write_json(self.where / "results/recognise/local/gaitset/p0-fp32.json", rates_of(made))
        outputs.write_json(self.where / "results/benchmark/local/gaitset/p0-fp32.json", made)

    def track(self) -> str:
        """The run that stands for the variant afterwards."""
        receipt = self.where / "results/track/receipt.json"
        run_id: str = track(self.where / "results", receipt, params.load(self.where / "params.yaml"))["variants"][VARIANT][
            "run_id"
        ]
        return run_id


def runs(uri: str) -> dict[str, Any]:
    client = MlflowClient(uri)
    return {run.info.run_id: run for run in client.search_runs([client.get_experiment_by_name("gait").experiment_id])}


@pytest.fixture(autouse=True)
def _no_address_of_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.mark.slow
def test_colleagues_runs_on_one_server_stay_as_they_are(tmp_path: Path, mlflow_server: str) -> None:
    ada, grace = Place(tmp_path / "ada", mlflow_server), Place(tmp_path / "grace", mlflow_server)
    ada.measure(1)
    grace.measure(2)
    first, hers = ada.track(), grace.track()
    assert {run.data.tags["superseded"] for run in runs(mlflow_server).values()} == {"false"}
    # One that is being written stays, and her own that was interrupted goes.
    client = MlflowClient(mlflow_server)
    client.update_run(first, status="RUNNING")
    client.update_run(hers, status="RUNNING")
    again = grace.track()
    assert set(runs(mlflow_server)) == {first, again}
    client.update_run(first, status="FINISHED")
    # Somebody who measures anew supersedes their own run alone.
    ada.measure(3)
    second = ada.track()
    superseded = {run_id: run.data.tags["superseded"] for run_id, run in runs(mlflow_server).items()}
    assert superseded == {first: "true", second: "false", again: "false"}
    # The same results are one run, which is up to date as long as anybody has them.
    copied = Place(tmp_path / "copied", mlflow_server)
    shutil.copytree(ada.where / "results", copied.where / "results", dirs_exist_ok=True)
    assert copied.track() == second
    ada.measure(1)
    assert ada.track() == first
    assert {run_id: run.data.tags["superseded"] for run_id, run in runs(mlflow_server).items()} == dict.fromkeys(
        (first, second, again), "false"
    )


@pytest.mark.slow
def test_a_run_of_a_former_version_is_superseded_and_one_that_runs_stays(tmp_path: Path, mlflow_server: str) -> None:
    place = Place(tmp_path / "ada", mlflow_server)
    place.measure(1)
    former = place.track()
    client = MlflowClient(mlflow_server)
    (tag,) = [tag for tag in client.get_run(former).data.tags if tag.startswith(workplaces.TAG)]
    client.delete_tag(former, tag)
    running = client.create_run("1", tags={"variant": VARIANT, "content_key": "x"}).info.run_id
    place.measure(2)
    place.track()
    assert client.get_run(former).data.tags["superseded"] == "true"
    assert client.get_run(running).info.lifecycle_stage == "active"


def test_a_copied_folder_is_another_workplace_and_a_moved_one_the_same(tmp_path: Path) -> None:
    first = workplaces.of(tmp_path / "first")
    assert workplaces.of(tmp_path / "first") == first
    shutil.copytree(tmp_path / "first", tmp_path / "copy")
    assert workplaces.of(tmp_path / "copy").key != first.key
    (tmp_path / "first").rename(tmp_path / "moved")
    assert workplaces.of(tmp_path / "moved") == first
    (tmp_path / "moved" / workplaces.FILE).write_text("{")
    assert workplaces.of(tmp_path / "moved").key != first.key


def artifact_places(database: Path) -> set[str]:
    with sqlite3.connect(database) as connection:
        rows = connection.execute(
            "SELECT artifact_uri FROM runs UNION SELECT artifact_location FROM experiments WHERE name = 'gait'"
        )
        return {uri for (uri,) in rows}


def written_in(place: Place, run_id: str) -> Path:
    """The folder that holds the record of a run."""
    artifacts = Path(url2pathname(urlsplit(MlflowClient(place.uri).get_run(run_id).info.artifact_uri).path))
    assert (artifacts / "record.json").is_file()
    return artifacts.parents[3]


@pytest.mark.slow
def test_a_copied_or_moved_repository_has_its_artifacts_beside_its_database(tmp_path: Path) -> None:
    first = Place(tmp_path / "first")
    first.measure(1)
    before = first.track()
    written = {path: path.stat().st_mtime_ns for path in first.where.rglob("mlartifacts/**/*")}
    shutil.copytree(first.where, tmp_path / "copy of it")
    copy = Place(tmp_path / "copy of it")
    copy.measure(2)
    copy.track()
    assert {path: path.stat().st_mtime_ns for path in first.where.rglob("mlartifacts/**/*")} == written
    assert all(uri.startswith((copy.where / "mlartifacts").as_uri()) for uri in artifact_places(copy.where / "mlflow.db"))
    assert all(uri.startswith((first.where / "mlartifacts").as_uri()) for uri in artifact_places(first.where / "mlflow.db"))
    copy.where.rename(tmp_path / "moved")
    moved = Place(tmp_path / "moved")
    moved.measure(3)
    last = moved.track()
    assert not copy.where.exists()
    assert written_in(moved, before) == written_in(moved, last) == moved.where
    # A database that is copied alone reads its former runs where they are, and writes beside itself.
    alone = Place(tmp_path / "alone")
    shutil.copy(moved.where / "mlflow.db", alone.where)
    alone.measure(4)
    newest = alone.track()
    assert (written_in(alone, last), written_in(alone, newest)) == (moved.where, alone.where)


def test_a_place_for_artifacts_that_somebody_chose_stays(tmp_path: Path) -> None:
    place = Place(tmp_path / "first")
    place.measure(1)
    chosen = tmp_path / "large disk/mlartifacts/gait"
    chosen.mkdir(parents=True)
    MlflowClient(place.uri).create_experiment("gait", artifact_location=chosen.as_uri())
    run_id = place.track()
    assert (chosen / run_id / "artifacts/record.json").is_file()
    assert not (place.where / "mlartifacts").exists()


class _Proxy(BaseHTTPRequestHandler):
    """Passes what is asked of http://mlflow.invalid on to a server on this machine."""

    target = ""
    asked: list[str]

    def _pass_on(self) -> None:
        self.asked.append(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = http.client.HTTPConnection(self.target, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "proxy-connection")}
        connection.request(self.command, self.path.removeprefix("http://mlflow.invalid"), body, headers)
        answer = connection.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        connection.close()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def proxy(mlflow_server: str) -> Iterator[ThreadingHTTPServer]:
    handler = type("Handler", (_Proxy,), {"target": mlflow_server.removeprefix("http://"), "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.slow
def test_a_server_behind_a_proxy_is_reached_as_the_environment_says(
    tmp_path: Path, proxy: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path, "http://mlflow.invalid")
    place.measure(1)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, f"http://me:secret@127.0.0.1:{proxy.server_port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert place.track()
    assert proxy.RequestHandlerClass.asked  # type: ignore[attr-defined]
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://me:secret@127.0.0.1:9")
    words = [
        "--params",
        place.where / "params.yaml",
        "--results",
        place.where / "results",
        "--receipt",
        tmp_path / "receipt.json",
    ]
    done = commands.stage("track", *words)
    assert done.stderr.startswith(
        "error: MLflow at http://mlflow.invalid cannot be reached through the proxy 127.0.0.1:9 that"
    )
    assert "secret" not in done.stdout + done.stderr
