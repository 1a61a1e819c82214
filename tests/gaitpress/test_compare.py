"""The comparison in MLflow: a real interface, looked at in a real browser."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gaitpress import outputs, params
from gaitpress.commands import compare
from gaitpress.commands.compare.interface import HOST, running, started
from gaitpress.errors import StageError
from gaitpress.results.figures import RANK1, TIME
from simulator.ssh_server import free_port
from stages.track import track
from tests.support.browser import PROGRAM, Browser
from tests.support.many_records import rates_of, record
from tests.support.toy import ROOT, environment
from tracking.server import TrackingServer

PERCENTILES = (0, 30, 60)
LEFTOVER = 60  # tracked, and no longer listed
START_S = 240
TEXT = "document.body.innerText.replace(/\\s+/g, ' ')"
CARD = "[data-testid=experiment-view-compare-runs-card]"
chromium = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium to open pages with")


@dataclass(frozen=True)
class Store:
    """A folder with params.yaml and an SQLite file."""

    where: Path

    @property
    def settings(self) -> params.Params:
        return params.load(self.where / "params.yaml")

    @property
    def server(self) -> TrackingServer:
        """Its experiment, found."""
        server = TrackingServer(self.settings.mlflow.tracking_uri, self.settings.mlflow.experiment)
        assert server.find()
        return server

    def write_params(self, percentiles: tuple[int, ...]) -> None:
        data = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        data |= {"devices": ["local"], "models": ["gaitset"], "precisions": ["fp32"]}
        data["mlflow"] = {"tracking_uri": f"sqlite:///{self.where}/mlflow.db", "experiment": "gait"}
        data["prune"]["percentiles"] = list(percentiles)
        YAML().dump(data, self.where / "params.yaml")

    def track(self) -> None:
        track(self.where / "results", self.where / "receipt.json", self.settings)

    def command(self, *options: object) -> list[str]:
        return [sys.executable, "-W", "ignore", "-m", "gaitpress", "compare", *map(str, options)]

    @property
    def env(self) -> dict[str, str]:
        env = {key: value for key, value in environment().items() if key not in ("MLFLOW_TRACKING_URI", "SSH_CONNECTION")}
        return {**env, "PYTHONPATH": str(ROOT)}

    def run(self, *options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*options), cwd=self.where, env=self.env, capture_output=True, text=True, timeout=START_S
        )

    def copy(self, where: Path) -> Store:
        """Another store, with the same experiment and runs."""
        shutil.copytree(self.where, where, dirs_exist_ok=True)
        settings = (where / "params.yaml").read_text().replace(str(self.where), str(where))
        (where / "params.yaml").write_text(settings)
        return Store(where)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Three variants, tracked, of which params.yaml lists two; and a training."""
    store = Store(tmp_path_factory.mktemp("store"))
    rng = random.Random(1)
    for percentile in PERCENTILES:
        while (made := record(rng, "local", "gaitset", percentile, "fp32"))["status"] != "ok":
            pass
        del made["rank1_by_view"]  # whose picture takes seconds
        outputs.write_json(store.where / f"results/recognise/local/gaitset/p{percentile}-fp32.json", rates_of(made))
        outputs.write_json(store.where / f"results/benchmark/local/gaitset/p{percentile}-fp32.json", made)
    store.write_params(PERCENTILES)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        store.track()
    store.write_params(tuple(p for p in PERCENTILES if p != LEFTOVER))
    training = TrackingServer(store.settings.mlflow.tracking_uri, store.settings.mlflow.training_experiment)
    training.open()
    training.end(training.begin("train/gaitset", {"stage": "train", "model": "gaitset"}), "FINISHED")
    return store


class Command:
    """A command that serves the comparison, until it is interrupted."""

    def __init__(self, store: Store, port: int) -> None:
        self.port = port
        self.process = subprocess.Popen(
            store.command("--port", port),
            cwd=store.where,
            env=store.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.said = ""
        assert self.process.stdout
        for line in self.process.stdout:
            self.said += line
            if line.startswith("Ctrl-C"):
                return
        pytest.fail(self.said)

    @property
    def pages(self) -> dict[str, str]:
        return addresses(self.said)

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal to it alone; its status and what it said last."""
        self.process.send_signal(number)
        last, _ = self.process.communicate(timeout=60)
        return self.process.returncode, last


def addresses(said: str) -> dict[str, str]:
    return dict(line.split() for line in said.splitlines() if line.startswith("  "))


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


@pytest.fixture(scope="module")
def command(store: Store) -> Iterator[Command]:
    command = Command(store, free_port())
    yield command
    if command.process.poll() is None:
        command.end(signal.SIGINT)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


def shown(names: str) -> str:
    """JavaScript: whether the page shows each of some texts."""
    return f"{json.dumps(names.split('|'))}.every((name) => {TEXT}.includes(name))"


@pytest.mark.slow
@chromium
def test_the_comparison_opens_on_the_current_runs_with_charts(command: Command, browser: Browser) -> None:
    browser.open(command.pages["compare"])
    browser.wait_for(shown("gaitset p0 fp32 @ local|gaitset p30 fp32 @ local|Trade-off (4)|2 matching runs"), START_S)
    cards = f"[...document.querySelectorAll('{CARD}')].map((card) => card.textContent)"
    browser.wait_for(
        f"{cards}.some((card) => /Parallel Coordinates.*percentile.*{TIME.name}.*{RANK1.name}/.test(card))", START_S
    )
    browser.wait_for(f"{cards}.some((card) => card.startsWith('{TIME.name} vs. {RANK1.name}'))", START_S)
    browser.wait_for(f"document.querySelectorAll('{CARD} .scatterlayer .point').length >= 2", START_S)
    assert not browser.evaluate(shown(f"gaitset p{LEFTOVER} fp32"))


@pytest.mark.slow
@chromium
def test_the_table_has_the_current_runs_and_their_figures(command: Command, browser: Browser) -> None:
    browser.open(command.pages["table"], 2400)
    browser.wait_for(shown(f"gaitset p0 fp32 @ local|gaitset p30 fp32 @ local|2 matching runs|{RANK1.name}"), START_S)
    assert not browser.evaluate(shown(f"gaitset p{LEFTOVER} fp32"))


@pytest.mark.slow
@chromium
def test_the_trainings_are_a_page_away(command: Command, browser: Browser) -> None:
    browser.open(command.pages["training"])
    browser.wait_for(shown("train/gaitset|1 matching run"), START_S)


@pytest.mark.slow
@chromium
def test_an_experiment_that_is_opened_otherwise_leads_to_its_runs(command: Command, browser: Browser) -> None:
    browser.open(command.pages["table"].partition("/runs?")[0])
    link = "[...document.querySelectorAll('a')].find((a) => a.textContent === 'Show the runs')"
    browser.wait_for(f"{link} !== undefined", START_S)
    browser.evaluate(f"{link}.removeAttribute('target'), {link}.click()")
    browser.wait_for(shown("gaitset p0 fp32 @ local|gaitset p30 fp32 @ local"), START_S)


@pytest.mark.slow
def test_an_interface_that_serves_this_store_is_used(command: Command, store: Store) -> None:
    done = store.run("--port", command.port)
    assert done.returncode == 0, done.stderr
    assert addresses(done.stdout) == command.pages
    assert "Ctrl-C" not in done.stdout


@pytest.mark.slow
def test_an_interface_to_another_store_is_not_used_even_if_that_has_the_same_runs(
    command: Command, store: Store, tmp_path: Path
) -> None:
    other = store.copy(tmp_path)
    interface = running(other.server, command.port)
    assert not interface.running
    assert interface.address != f"http://{HOST}:{command.port}"
    assert running(store.server, command.port).running


class _Answers(BaseHTTPRequestHandler):
    """A program that is no MLflow, whatever it is asked."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"experiment": {"tags": [{"key": "mlflow.gaitpress.proof"}, null]}}')

    def log_message(self, *_: Any) -> None:
        pass


def test_a_port_that_another_program_has_is_passed_by(store: Store) -> None:
    with HTTPServer((HOST, 0), _Answers) as other, socket.create_server((HOST, 0)) as silent:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        for port in (other.server_port, silent.getsockname()[1]):
            interface = running(store.server, port)
            assert not interface.running
            assert interface.address != f"http://{HOST}:{port}"
        other.shutdown()


@pytest.mark.slow
def test_no_trace_of_the_question_stays_in_the_store(command: Command, store: Store) -> None:
    from mlflow import MlflowClient

    running(store.server, command.port)
    tags = MlflowClient(store.settings.mlflow.tracking_uri).get_experiment_by_name("gait").tags
    assert not [tag for tag in tags if tag.endswith("proof")]


def said(store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *options: object) -> str:
    """What the command prints, in this process."""
    monkeypatch.chdir(store.where)
    monkeypatch.setattr(sys, "argv", ["compare", *map(str, options)])
    capsys.readouterr()
    compare.main()
    return capsys.readouterr().out


def test_runs_are_those_of_what_the_params_list_now(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = store.copy(tmp_path)
    other.write_params((30, 45, LEFTOVER))
    assert "2 of the 3 variants" in said(other, monkeypatch, capsys, "--no-start", "--port", free_port())
    from mlflow import MlflowClient

    client = MlflowClient(other.settings.mlflow.tracking_uri)
    runs = client.search_runs([client.get_experiment_by_name("gait").experiment_id])
    assert {run.data.tags["percentile"]: run.data.tags["listed"] for run in runs} == {
        "0": "false", "30": "true", "60": "true",
    }  # fmt: skip


def test_where_nothing_is_tracked_it_says_what_to_type_and_makes_nothing(tmp_path: Path) -> None:
    empty = Store(tmp_path)
    empty.write_params((0, 30))
    done = empty.run()
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"error: MLflow at sqlite:///{tmp_path}/mlflow.db: no variant of params.yaml is tracked")
    assert "dvc repro" in line
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_the_environment_variable_goes_before_the_params(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = Store(tmp_path)
    empty.write_params((0, 30))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.settings.mlflow.tracking_uri)
    printed = said(empty, monkeypatch, capsys, "--no-start", "--port", free_port())
    assert set(addresses(printed)) == {"compare", "table", "training"}
    assert "while `make mlflow` runs" in printed


@pytest.mark.slow
def test_a_server_elsewhere_is_used_as_it_is(
    command: Command, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@{HOST}:{command.port}/")
    printed = said(store, monkeypatch, capsys)
    assert addresses(printed) == command.pages
    assert "secret" not in printed


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_was_started_ends_with_the_command(command: Command, store: Store, number: signal.Signals) -> None:
    """The first one ends what the tests above have used."""
    command = command if number == signal.SIGINT else Command(store, free_port())
    port = int(command.pages["compare"].split("/")[2].rpartition(":")[2])
    assert listens(port)
    status, last = command.end(number)
    assert status == (0 if number == signal.SIGINT else 1), last
    assert "Traceback" not in last
    assert not listens(port)


@pytest.mark.slow
def test_an_interface_that_does_not_start_is_an_error_with_its_last_words(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as bound:  # and not listening, so that it looks free
        bound.bind((HOST, 0))
        port = bound.getsockname()[1]
        with pytest.raises(StageError, match=r"did not start.*address already in use"), started(store.server, port):
            pytest.fail("it cannot have started")
    assert not listens(port)
    assert os.listdir(tmp_path / "logs") == ["mlflow.log"]
