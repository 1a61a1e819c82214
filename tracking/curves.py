"""How a training goes, while it goes: progress on stderr, curves for TensorBoard and a run in MLflow.

    tensorboard --logdir logs/tensorboard

shows the curves of all trainings. A training of ten seconds or more also has a run in MLflow, in the experiment that
params.yaml names, with ``-training`` appended. Neither can stop a training: after a failure it warns once.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gait.training.validation import RATE
from gaitpress import outputs
from gaitpress.params.mlflow import MLflow
from gaitpress.progress import log_every_s
from tracking.addresses import address, without_credentials
from tracking.server import RUNS_PAGE, Row, TrackingServer

LOGS = Path("logs/tensorboard")
EVENTS = "events.out.tfevents"
NOTE = f"[Show the runs]({RUNS_PAGE}): one a training, with its curves. `make mlflow` shows them as charts."
COUNTERS = ("iteration", "epoch")  # a row's place on the axis, no curve
MLFLOW_AFTER_S = 10.0
SEND_EVERY_S = 10.0
# A training that has ended waits this long for MLflow to take the last rows; a scheduler that ends a job waits less.
WAIT_S, WAIT_INTERRUPTED_S = 60.0, 5.0


class Curves:
    """Watches one training: a context manager around all its phases, which goes on where a killed training was.

    Steps count on over the phases: the first row of the second phase comes after all steps of the first.

    Args:
        name: such as "train/gaitset" or "finetune/cnn2d/p30": the stage, the model and what else tells trainings apart.
        noted: a JSON file that keeps the folder and the run until the training is complete.
        mlflow: the section of params.yaml.
    """

    def __init__(self, name: str, noted: Path, mlflow: MLflow) -> None:
        self._name = name
        self._phase = self._total = self._offset = 0
        self._progress = _Progress(name)
        memory = _Noted(noted)
        self._events = _Events(name, memory)
        self._run = _Run(name, mlflow, memory)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self._progress.end()
        self._events.close()
        interrupted = kind is not None and not issubclass(kind, Exception)
        self._run.end("FINISHED" if kind is None else "KILLED" if interrupted else "FAILED")

    def begin_phase(self) -> None:
        """Begin another phase; its steps and rows count from 1 again."""
        self._progress.end()
        self._phase += 1
        self._offset += self._total
        self._total = 0
        self._progress = _Progress(self._name if self._phase == 1 else f"{self._name}, phase {self._phase}")

    def step(self, done: int, total: int) -> None:
        self._total = total
        self._progress.step(done, total)
        self._run.training_begins()

    def row(self, number: int, values: Mapping[str, float]) -> None:
        curves = {name: float(value) for name, value in values.items() if name not in COUNTERS}
        now = time.time()
        self._events.add(self._offset + number, now, curves)
        self._run.add(Row(self._offset + number, int(1000 * now), curves))
        self._progress.row(number, curves.get("loss"), curves.get(RATE))


class _Noted:
    """A memory that outlasts an interruption, in a JSON file; threads may share it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            self._values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._values = {}  # a loss of power may leave an empty file; the training itself can still go on

    def get(self, key: str) -> Any:
        return self._values.get(key)

    def set(self, key: str, value: Any) -> None:
        with self._lock:
            self._values[key] = value
            outputs.write_json(self._path, self._values)


class _Events:
    """TensorBoard's event files of one training, in a folder of its own: one file for each time that it goes on.

    TensorBoard's own writer of such files, and that of PyTorch around it, would load TensorFlow for paths in the cloud.
    """

    def __init__(self, name: str, noted: _Noted) -> None:
        self._parent = LOGS / name
        self._noted = noted
        self._file: Any = None
        self._failed = False

    def add(self, step: int, now: float, curves: Mapping[str, float]) -> None:
        """Write a row to the disk; a process that is killed right after loses nothing."""
        if self._failed:
            return
        try:
            if self._file is None:
                self._open(step, now)
            self._write(now, step=step, summary={"value": [{"tag": tag, "simple_value": y} for tag, y in curves.items()]})
            self._file.flush()
        except OSError as error:
            self._failed = True
            _warn(f"{self._parent}: {error.strerror or error}", "TensorBoard")
            self.close()

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()

    def _open(self, first_step: int, now: float) -> None:
        from tensorboard.compat.proto.event_pb2 import SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder = self._folder()
        # Files are read in the order of their names, which no wrong clock must change.
        number = max((int(path.suffix[1:]) for path in folder.glob(f"{EVENTS}.*")), default=0) + 1
        self._file = RecordWriter((folder / f"{EVENTS}.{number:06}").open("xb"))
        self._write(now, file_version="brain.Event:2")
        # This mark voids rows from this step on that a killed process wrote: the training makes them again. TensorBoard
        # obeys only the second and later marks, so the first file has one too.
        self._write(now, step=first_step, session_log={"status": SessionLog.START})

    def _folder(self) -> Path:
        folder_before = self._noted.get("tensorboard")
        if folder_before is not None:
            folder = Path(folder_before)
            folder.mkdir(parents=True, exist_ok=True)
            return folder
        started = time.strftime("%Y-%m-%dT%H-%M-%S")
        for number in itertools.count(1):
            folder = self._parent / (started if number == 1 else f"{started}-{number}")
            try:
                folder.mkdir(parents=True)
                break
            except FileExistsError:
                continue
        self._noted.set("tensorboard", str(folder))
        return folder

    def _write(self, now: float, **content: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self._file.write(Event(wall_time=now, **content).SerializeToString())


class _Run:
    """A run in MLflow. A thread sends its rows, so that training waits neither for imports nor for a slow server.

    Rows that a process had not sent when it was killed are missing there, unless they come after its last checkpoint.
    """

    def __init__(self, name: str, mlflow: MLflow, noted: _Noted) -> None:
        self._name = name
        self._server = TrackingServer(address(mlflow), mlflow.training_experiment)
        self._shown = without_credentials(self._server.uri)
        self._noted = noted
        self._since: float | None = None
        self._rows: deque[Row] = deque()
        self._status: str | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send, name="mlflow", daemon=True)
        self._started = self._failed = False

    def training_begins(self) -> None:
        """Start the clock; only the first call counts."""
        if self._since is None:
            self._since = time.monotonic()

    def add(self, row: Row) -> None:
        if self._failed:
            return
        self._rows.append(row)
        if not self._started and self._since is not None and time.monotonic() - self._since >= MLFLOW_AFTER_S:
            self._start()

    def end(self, status: str) -> None:
        """Send the last rows and end the run, if there is one, also after an interruption left it with another status."""
        interrupted = status == "KILLED"
        if not self._started and not interrupted and self._known_run() is not None:
            self._start()
        if not self._started:
            return
        self._status = status
        self._ended.set()
        wait_s = WAIT_INTERRUPTED_S if interrupted else WAIT_S
        self._thread.join(wait_s)
        if self._thread.is_alive():
            self._failed = True
            _say(f"warning: MLflow at {self._shown} has not taken the last rows within {wait_s:.0f} s; they are left out")

    def _start(self) -> None:
        self._started = True
        self._thread.start()

    def _known_run(self) -> str | None:
        entry = self._noted.get("mlflow")
        return entry["run"] if entry and entry["address"] == self._shown else None

    def _send(self) -> None:
        try:
            with self._server.errors_in_one_line():
                self._server.open()
                self._server.explain(NOTE.format(self._server.experiment_id))
                run_id, last_step = self._begin()
                while self._status is None:
                    self._tell(run_id, last_step)
                    self._ended.wait(SEND_EVERY_S)
                self._tell(run_id, last_step)
                self._server.end(run_id, self._status)
        except Exception as error:  # no error here is a reason to lose a training
            if not self._failed:
                _warn(str(error), "MLflow")
            self._failed = True
            self._rows.clear()

    def _begin(self) -> tuple[str, int]:
        """The run, new or from before an interruption, and the last step that it has."""
        run_before = self._known_run()
        last_step = None if run_before is None else self._server.go_on(run_before)
        if run_before is not None and last_step is not None:
            return run_before, last_step
        stage, model = self._name.split("/")[:2]
        run_id = self._server.begin(self._name, {"stage": stage, "model": model})
        self._noted.set("mlflow", {"address": self._shown, "run": run_id})
        return run_id, 0

    def _tell(self, run_id: str, last_step: int) -> None:
        rows = [self._rows.popleft() for _ in range(len(self._rows))]
        self._server.tell(run_id, [row for row in rows if row.step > last_step])


class _Progress:
    """Shows how far a phase is: a bar on a terminal, else a line every ten seconds, and later more seldom."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._done = self._total = self._made = self._row = 0
        self._loss: float | None = None
        self._rank1: float | None = None
        self._since: float | None = None
        self._now = self._said = 0.0
        self._bar: Any = None
        self._over = False

    def step(self, done: int, total: int) -> None:
        if self._over or not total:
            return
        first, self._now = self._since is None, time.monotonic()
        if self._since is None:
            self._since = self._said = self._now
            self._bar = self._begin_bar(done, total) if sys.stderr.isatty() else None
        elif done == self._done + 1:
            self._made += 1
            if self._bar is not None:
                self._bar.update()
        elif self._bar is not None:
            # These steps took no time, such as when a part of a training stops early.
            self._bar.initial += done - self._done
            self._bar.update(done - self._done)
        self._done, self._total = done, total
        # Where rows are iterations, the last row comes before the last step, else after it.
        if done == total and (first or self._row == done):
            self.end()
        elif self._bar is None and done < total and self._now - self._said >= log_every_s(self._now - self._since):
            self._said = self._now
            left = f"{_duration((total - done) / self._rate())} left" if self._made else None
            self._say(f"{done} of {total}", self._speed(), left, *self._figures())

    def row(self, number: int, loss: float | None, rank1: float | None) -> None:
        self._row, self._loss, self._now = number, loss, time.monotonic()
        self._rank1 = self._rank1 if rank1 is None else rank1
        if self._bar is not None:
            self._bar.set_postfix_str(", ".join(self._figures()), refresh=False)
        if self._total and self._done == self._total:
            self.end()

    def end(self) -> None:
        """Print once how far the phase came."""
        if self._over or self._since is None:
            return
        self._over = True
        if self._bar is not None:
            self._bar.close()
            return
        took = f" in {_duration(self._now - self._since)}" if self._made else ""
        self._say(f"{self._done} of {self._total}{took}", self._speed(), *self._figures())

    def _begin_bar(self, done: int, total: int) -> Any:
        from tqdm import tqdm

        return tqdm(desc=self._name, initial=done, total=total, smoothing=0)

    def _say(self, *parts: str | None) -> None:
        _say(f"{self._name}: {', '.join(part for part in parts if part)}")

    def _rate(self) -> float:
        """Steps a second, counting the steps of this run."""
        assert self._since is not None
        return self._made / max(self._now - self._since, 1e-9)

    def _speed(self) -> str | None:
        if not self._made:
            return None
        rate = self._rate()
        return f"{rate:.1f} it/s" if rate >= 1 else f"{1 / rate:.1f} s/it"

    def _figures(self) -> list[str]:
        """The last loss, and the rate of the last test on people set aside, as far as there are any."""
        shown = [] if self._loss is None else [f"loss {self._loss:.3g}"]
        return shown if self._rank1 is None else [*shown, f"rank-1 of people set aside {self._rank1:.1f} %"]


def _duration(seconds: float) -> str:
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _warn(problem: str, display: str) -> None:
    _say(f"warning: {problem}; training goes on without {display}")


def _say(line: str) -> None:
    # In one piece, so that threads do not mix their lines.
    print(f"{line}\n", end="", file=sys.stderr, flush=True)
