"""What is reported of a training while it goes: lines on stderr, TensorBoard's curves, a run in MLflow."""

from __future__ import annotations

import io as streams
import json
import math
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, TypeVar

import pytest

from gaitpress.params.mlflow import MLflow
from tests.support.toy import ROOT, environment
from tracking import curves
from tracking.curves import Curves

T = TypeVar("T")
ByCurve = Mapping[str, list[tuple[int, float]]]
FOLDER = Path("logs/tensorboard/train/gaitset")


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database, which takes seconds to make."""
    from tracking.server import TrackingServer

    database = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    TrackingServer(f"sqlite:///{database}", "unused").open()
    return database


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


@pytest.fixture
def database(here: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a database that trainings use from their first row on."""
    shutil.copy(empty_database, here / "mlflow.db")
    monkeypatch.setattr(curves, "MLFLOW_AFTER_S", 0.0)
    monkeypatch.setattr(curves, "SEND_EVERY_S", 0.05)
    return in_this_folder()


def in_this_folder() -> str:
    # In full, since MLflow keeps what it opened once.
    return f"sqlite:///{Path.cwd()}/mlflow.db"


def watching(name: str = "train/gaitset", uri: str | None = None) -> Curves:
    return Curves(name, Path("curves.json"), MLflow(tracking_uri=uri or in_this_folder(), experiment="gait"))


def iterate(watcher: Curves, first: int, last: int, total: int) -> None:
    """What PyTorch's loop tells."""
    watcher.step(first - 1, total)
    for iteration in range(first, last + 1):
        watcher.row(iteration, {"iteration": iteration, "loss": loss(iteration), "lr": 0.5})
        watcher.step(iteration, total)


def loss(iteration: int) -> float:
    return 8 / iteration


def losses(iterations: range) -> list[tuple[int, Any]]:
    return [(iteration, pytest.approx(loss(iteration))) for iteration in iterations]


def board(folder: Path = FOLDER) -> ByCurve:
    """What TensorBoard reads of the only training under a folder, by curve."""
    # Its readers would load TensorFlow, for seconds, only to open files.
    sys.modules.setdefault("tensorboard.compat.notf", ModuleType("notf"))
    from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator

    [training] = folder.iterdir()
    read = event_accumulator.EventAccumulator(str(training)).Reload()
    by_curve = {tag: [(event.step, event.value) for event in read.Scalars(tag)] for tag in read.Tags()["scalars"]}
    # The page has a reader of its own, with rules of its own.
    shown = plugin_event_accumulator.EventAccumulator(str(training)).Reload()
    for tag, curve in by_curve.items():
        assert [event.step for event in shown.Tensors(tag)] == [step for step, _ in curve]
    return by_curve


def runs() -> list[Any]:
    from mlflow import MlflowClient

    mlflow = MlflowClient(in_this_folder())
    experiment = mlflow.get_experiment_by_name("gait-training")
    return [] if experiment is None else list(mlflow.search_runs([experiment.experiment_id]))


def logged(run: Any, key: str) -> list[tuple[int, float]]:
    from mlflow import MlflowClient

    history = MlflowClient(in_this_folder()).get_metric_history(run.info.run_id, key)
    return sorted((metric.step, metric.value) for metric in history)


def waited_for(ask: Callable[[], T]) -> T:
    """What a function returns, once it is something."""
    started = time.monotonic()
    while not (something := ask()):
        assert time.monotonic() - started < 30
        time.sleep(0.05)
    return something


def python(code: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a program with what this one may import, in the current folder."""
    path = {"PYTHONPATH": ":".join([str(ROOT), *sys.path])}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=environment() | path, capture_output=True, text=True, **more
    )


def test_neither_the_import_nor_a_row_for_tensorboard_loads_a_framework() -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from gaitpress.params.mlflow import MLflow\n"
        "from tracking.curves import Curves\n"
        "print(sorted({'torch', 'tensorflow', 'keras', 'mlflow', 'tensorboard', 'tqdm'} & set(sys.modules)))\n"
        "with Curves('train/gln', Path('noted'), MLflow(tracking_uri='sqlite:///x.db', experiment='x')) as watcher:\n"
        "    watcher.begin_phase()\n"
        "    watcher.row(1, {'loss': 1.0})\n"
        "print(sorted({'torch', 'tensorflow', 'keras', 'mlflow'} & set(sys.modules)))\n"
    )
    assert python(code, check=True).stdout.splitlines() == ["[]", "[]"]
    assert board(Path("logs/tensorboard/train/gln")) == {"loss": [(1, 1.0)]}


def test_tensorboard_shows_what_was_reported() -> None:
    with watching() as watcher:
        watcher.begin_phase()
        iterate(watcher, 1, 5, 5)
    assert board() == {"loss": losses(range(1, 6)), "lr": [(step, 0.5) for step in range(1, 6)]}


def test_curves_are_there_while_training_goes_on() -> None:
    with watching() as watcher:
        watcher.begin_phase()
        iterate(watcher, 1, 3, 9)
        assert board()["loss"] == losses(range(1, 4))


def test_steps_count_on_over_phases() -> None:
    with watching() as watcher:
        for total in (4, 3):
            watcher.begin_phase()
            iterate(watcher, 1, total, total)
    assert [step for step, _ in board()["loss"]] == [1, 2, 3, 4, 5, 6, 7]


def test_epochs_are_the_steps_of_keras() -> None:
    with watching("finetune/cnn2d/p30") as watcher:
        watcher.begin_phase()
        watcher.step(0, 20)
        for epoch in (1, 2):
            for step in range(10):
                watcher.step(10 * (epoch - 1) + step + 1, 20)
            watcher.row(epoch, {"epoch": epoch, "loss": 1.0, "val_loss": 2.0})
    assert board(Path("logs/tensorboard/finetune/cnn2d/p30")) == {
        "loss": [(1, 1.0), (2, 1.0)],
        "val_loss": [(1, 2.0), (2, 2.0)],
    }


def test_going_on_in_the_second_phase_replaces_what_came_after_the_checkpoint() -> None:
    with pytest.raises(KeyboardInterrupt), watching() as watcher:
        watcher.begin_phase()
        iterate(watcher, 1, 4, 4)
        watcher.begin_phase()
        iterate(watcher, 1, 3, 5)
        raise KeyboardInterrupt
    with watching() as watcher:
        watcher.begin_phase()
        watcher.step(4, 4)
        watcher.begin_phase()
        iterate(watcher, 2, 5, 5)
    assert [step for step, _ in board()["loss"]] == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_each_training_has_a_folder_of_its_own() -> None:
    for _ in range(2):
        with watching() as watcher:
            watcher.begin_phase()
            iterate(watcher, 1, 1, 1)
        Path("curves.json").unlink()
    assert len(list(FOLDER.iterdir())) == 2


def test_a_training_without_rows_leaves_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with watching() as watcher:
        watcher.begin_phase()
        watcher.step(0, 0)
    assert list(here.iterdir()) == []
    assert capsys.readouterr().err == ""


def test_logs_that_cannot_be_written_stop_no_training(capsys: pytest.CaptureFixture[str]) -> None:
    Path("logs").write_text("in the way")
    with watching() as watcher:
        watcher.begin_phase()
        iterate(watcher, 1, 3, 3)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("warning: logs/tensorboard/train/gaitset: ")
    assert lines[0].endswith("; training goes on without TensorBoard")
    assert len(lines) == 2


def test_a_full_disk_stops_no_training() -> None:
    code = (
        "import resource\n"
        "from pathlib import Path\n"
        "from gaitpress.params.mlflow import MLflow\n"
        "from tracking.curves import Curves\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "mlflow = MLflow(tracking_uri='sqlite:///x.db', experiment='x')\n"
        "with Curves('train/gaitset', Path('noted'), mlflow) as watcher:\n"
        "    watcher.begin_phase()\n"
        "    for number in range(1, 1001):\n"
        "        watcher.row(number, {'loss': float(number)})\n"
        "print('trained')\n"
    )
    done = python(code)
    assert done.stdout == "trained\n", done.stderr
    assert done.stderr == "warning: logs/tensorboard/train/gaitset: File too large; training goes on without TensorBoard\n"
    assert [step for step, _ in board()["loss"]][:20] == list(range(1, 21))


def test_a_run_holds_every_row_and_says_what_it_is(database: str) -> None:
    with watching() as watcher:
        watcher.begin_phase()
        iterate(watcher, 1, 800, 800)  # more numbers than MLflow takes at once
    [run] = runs()
    assert (run.info.run_name, run.info.status) == ("train/gaitset", "FINISHED")
    assert (run.data.tags["stage"], run.data.tags["model"]) == ("train", "gaitset")
    assert logged(run, "loss") == losses(range(1, 801))
    assert logged(run, "lr") == [(step, 0.5) for step in range(1, 801)]
    assert set(run.data.metrics) == {"loss", "lr"}


def test_the_experiment_of_trainings_says_of_what_kind_it_is_and_leads_to_its_runs(database: str) -> None:
    with watching() as watcher:
        watcher.begin_phase()
        iterate(watcher, 1, 5, 5)
    from mlflow import MlflowClient

    experiment = MlflowClient(in_this_folder()).get_experiment_by_name("gait-training")
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert f"(#/experiments/{experiment.experiment_id}/runs?" in experiment.tags["mlflow.note.content"]


def test_a_short_training_makes_neither_run_nor_database(here: Path) -> None:
    with watching() as watcher:
        watcher.begin_phase()
        iterate(watcher, 1, 5, 5)
    assert {path.name for path in here.iterdir()} == {"curves.json", "logs"}


def test_the_environment_variable_goes_before_the_params(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    with watching(uri="http://127.0.0.1:9") as watcher:
        watcher.begin_phase()
        iterate(watcher, 1, 2, 2)
    assert len(runs()) == 1


def test_an_error_and_an_interruption_show_and_the_same_run_goes_on(database: str) -> None:
    for number, (error, status) in enumerate(
        [(KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED"), (ValueError, "FAILED")], start=1
    ):
        with pytest.raises(error), watching() as watcher:
            watcher.begin_phase()
            iterate(watcher, number, number + 1, 9)
            raise error
        [run] = runs()
        assert run.info.status == status
    assert logged(run, "loss") == losses(range(1, 5))


def test_a_run_whose_evaluation_failed_is_finished_by_the_next_one(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError), watching() as watcher:
        watcher.begin_phase()
        iterate(watcher, 1, 2, 2)
        raise ValueError
    monkeypatch.setattr(curves, "MLFLOW_AFTER_S", 10.0)
    with watching() as watcher:
        watcher.begin_phase()
        watcher.step(2, 2)
    [run] = runs()
    assert run.info.status == "FINISHED"


def test_a_run_that_was_deleted_is_followed_by_a_new_one(database: str) -> None:
    from mlflow import MlflowClient

    for number in (1, 2):
        with watching() as watcher:
            watcher.begin_phase()
            iterate(watcher, number, number, 2)
        [run] = runs()
        assert logged(run, "loss") == losses(range(number, number + 1))
        MlflowClient(database).delete_run(run.info.run_id)


@pytest.mark.slow
def test_after_a_kill_each_step_is_there_once(database: str) -> None:
    code = (
        "import os, signal, time\n"
        "from pathlib import Path\n"
        "from tracking import curves\n"
        "from tests.tracking.test_curves import iterate, runs, watching\n"
        "curves.MLFLOW_AFTER_S, curves.SEND_EVERY_S = 0.0, 0.05\n"
        "with watching() as watcher:\n"
        "    watcher.begin_phase()\n"
        "    iterate(watcher, 1, 7, 10)\n"
        "    while not any(run.data.tags.get('last_step') == '7' for run in runs()):\n"
        "        time.sleep(0.1)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = python(code, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    [killed] = runs()
    assert killed.info.status == "RUNNING"
    with watching() as watcher:
        watcher.begin_phase()
        iterate(watcher, 5, 10, 10)
    assert board()["loss"] == losses(range(1, 11))
    [run] = runs()
    assert (run.info.run_id, run.info.status) == (killed.info.run_id, "FINISHED")
    assert logged(run, "loss") == losses(range(1, 11))


def test_what_a_loss_of_power_left_of_the_notes_is_no_reason_to_stop() -> None:
    Path("curves.json").write_text("")
    with watching() as watcher:
        watcher.begin_phase()
        iterate(watcher, 1, 1, 1)
    assert list(json.loads(Path("curves.json").read_text())) == ["tensorboard"]


def test_a_server_that_cannot_be_reached_is_one_line_without_the_password(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with watching(uri="http://me:secret@127.0.0.1:9/mlflow?token=secret") as watcher:
        watcher.begin_phase()
        iterate(watcher, 1, 3, 3)
    warning, last = capsys.readouterr().err.splitlines()
    if warning.startswith("train/gaitset"):
        warning, last = last, warning  # two threads print them
    assert warning.startswith("warning: MLflow at http://127.0.0.1:9/mlflow cannot be reached")
    assert warning.endswith("; training goes on without MLflow")
    assert "secret" not in warning
    assert len(board()["loss"]) == 3


def test_a_server_that_fails_in_the_middle_is_one_line(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    with watching() as watcher:
        watcher.begin_phase()
        iterate(watcher, 1, 2, 6)
        waited_for(lambda: [run for run in runs() if run.data.tags.get("last_step") == "2"])
        Path("mlflow.db").write_text("no database")
        iterate(watcher, 3, 4, 6)
        warning = waited_for(lambda: capsys.readouterr().err)
        iterate(watcher, 5, 6, 6)
    [last] = capsys.readouterr().err.splitlines()
    assert warning.startswith(f"warning: MLflow at {database}: ")
    assert warning.endswith("; training goes on without MLflow\n")
    assert last.startswith("train/gaitset: 6 of 6")
    assert len(board()["loss"]) == 6


def test_a_server_that_never_answers_does_not_keep_a_training(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
    monkeypatch.setattr(curves, "WAIT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with watching(uri=f"http://127.0.0.1:{silent.getsockname()[1]}") as watcher:
            watcher.begin_phase()
            iterate(watcher, 1, 3, 3)
        assert time.monotonic() - started < 2.5
    assert "has not taken the last rows within" in capsys.readouterr().err


class Clock(SimpleNamespace):
    """The module time, standing still until told otherwise."""

    def __init__(self) -> None:
        super().__init__(now=1000.0, time=time.time, strftime=time.strftime)

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    still = Clock()
    monkeypatch.setattr(curves, "time", still)
    monkeypatch.setattr(curves, "MLFLOW_AFTER_S", math.inf)
    return still


def test_lines_tell_rate_time_left_and_loss(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with watching() as watcher:
        watcher.begin_phase()
        watcher.step(0, 42000)
        for iteration in range(1, 133):
            clock.now += 0.25
            watcher.row(iteration, {"loss": 0.1234})
            watcher.step(iteration, 42000)
    assert capsys.readouterr().err.splitlines() == [
        "train/gaitset: 40 of 42000, 4.0 it/s, 2 h 55 min left, loss 0.123",
        "train/gaitset: 80 of 42000, 4.0 it/s, 2 h 55 min left, loss 0.123",
        "train/gaitset: 120 of 42000, 4.0 it/s, 2 h 54 min left, loss 0.123",
        "train/gaitset: 132 of 42000 in 33 s, 4.0 it/s, loss 0.123",
    ]


def test_the_rate_counts_only_the_steps_of_this_run(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with watching() as watcher:
        watcher.begin_phase()
        watcher.step(980, 1000)
        for iteration in range(981, 1001):
            clock.now += 12.3
            watcher.row(iteration, {"loss": 12.345})
            watcher.step(iteration, 1000)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "train/gaitset: 981 of 1000, 12.3 s/it, 4 min left, loss 12.3"
    assert lines[-1] == "train/gaitset: 1000 of 1000 in 4 min, 12.3 s/it, loss 12.3"
    assert len(lines) == 20


def test_steps_that_an_early_stop_leaves_out_do_not_count(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with watching("train/cnn2d") as watcher:
        watcher.begin_phase()
        for first, epoch in ((0, 1), (900, 2)):
            watcher.step(first, 910)
            for step in range(first + 1, first + 11):
                clock.now += 0.5
                watcher.step(step, 910)
            watcher.row(epoch, {"loss": 1 / epoch})
    assert capsys.readouterr().err.splitlines() == ["train/cnn2d: 910 of 910 in 10 s, 2.0 it/s, loss 0.5"]


def test_phases_are_told_apart_and_each_ends_with_a_line(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with watching("train/gln") as watcher:
        watcher.begin_phase()
        watcher.step(4, 4)
        assert capsys.readouterr().err == "train/gln: 4 of 4\n"
        watcher.begin_phase()
        iterate(watcher, 1, 2, 3)
        clock.now += 1
        iterate(watcher, 3, 3, 3)
        assert capsys.readouterr().err == "train/gln, phase 2: 3 of 3 in 1 s, 3.0 it/s, loss 2.67\n"
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = streams.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", screen)
    with watching() as watcher:
        watcher.begin_phase()
        iterate(watcher, 3, 8, 8)
    last = screen.getvalue().rstrip("\n").rpartition("\r")[2]
    assert last.startswith("train/gaitset: 100%")
    assert "8/8" in last and "it/s" in last and "loss 1" in last
    assert screen.getvalue().endswith("\n")
    assert screen.getvalue().count("\n") == 1
