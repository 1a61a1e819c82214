"""Runs that fail, are interrupted or are killed: the next one goes on by itself, or says what to type."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.from_scratch import made_from_scratch
from tests.support.killing import wait_until_gone
from tests.support.toy import commit, environment, run
from tests.support.toy_pipeline import SMALL, Toy

SNAKEMAKE = ["snakemake", "--cores", "2", "all"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A repository of one model in which everything has run."""
    toy = Toy.make(tmp_path_factory.mktemp("made"), declared=SMALL)
    toy.edit(r"models: \[.*?\]", "models: [gaitset]")
    toy.dvc("repro")
    return toy


@pytest.fixture
def toy(made: Toy, tmp_path: Path) -> Toy:
    """The same with a new setting, so that all but the dataset and the probe is to be made."""
    toy = made.copy(tmp_path)
    (toy.where / "ran.txt").unlink()
    toy.edit(r"lr: 4e-3, weight_decay", "lr: 2e-3, weight_decay")
    return toy


class Run:
    """A run in a process group of its own, whose training goes on until it is let go."""

    def __init__(self, toy: Toy, command: list[str], **env: str) -> None:
        self._toy, self._before = toy, len(toy.ran())
        self._log = toy.where / "run.log"
        self._held = toy.where / "hold/train@gaitset"
        self._held.parent.mkdir(exist_ok=True)
        self._held.touch()
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=toy.where,
                env=environment() | env,
                start_new_session=True,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def until(self, what: str, holds: Callable[[], bool]) -> Run:
        """Wait until something holds; the run must not end before."""
        for _ in range(2400):
            if holds():
                return self
            assert self.process.poll() is None, self.printed()
            time.sleep(0.05)
        raise AssertionError(f"never: {what}\n{self.printed()}")

    def until_training(self) -> Run:
        return self.until("the training begins", lambda: "train@gaitset" in self.ran())

    def let_go(self) -> None:
        """Let the training end."""
        self._held.unlink()

    def ran(self) -> list[str]:
        """What has run since it began."""
        return self._toy.ran()[self._before :]

    def printed(self) -> str:
        return self._log.read_text()

    def processes(self, what: str) -> list[psutil.Process]:
        """Those with ``what`` in their command line, shells left out."""
        processes = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        return [process for process in processes if what in " ".join(process.cmdline()[:4]) and "sh" not in process.name()]

    def kill(self, what: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the one process with ``what`` in its command line."""
        (process,) = self.processes(what)
        process.send_signal(number)

    def kill_all(self, number: signal.Signals) -> None:
        os.killpg(self.process.pid, number)

    def ended(self) -> str:
        """Wait for its end, which must be a failure; what it printed."""
        assert self.process.wait(60), self.printed()
        return self.printed()


@pytest.fixture
def started() -> Iterator[list[Run]]:
    runs: list[Run] = []
    yield runs
    for begun in runs:
        try:
            os.killpg(begun.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        begun.process.wait()


def logged(toy: Toy) -> str:
    """What the job that trains has logged; before it starts, Snakemake removes the log of the one before."""
    try:
        return (toy.where / "logs/train-gaitset.log").read_text()
    except FileNotFoundError:
        return ""


def complete(toy: Toy) -> None:
    """Everything is there, and both engines are content."""
    assert toy.results() == {file: text for files in made_from_scratch(toy.where).values() for file, text in files.items()}
    toy.agree()
    assert not list(toy.where.glob(".dvc.lock.*"))


@pytest.mark.slow
def test_a_failed_stage_leaves_no_output_and_stops_only_what_needs_it(toy: Toy) -> None:
    (toy.where / "fail").mkdir()
    failing = toy.where / "fail/prune@gaitset-60"
    failing.touch()
    printed = toy.fails(SNAKEMAKE)
    assert "error: prune@gaitset-60 was told to fail" in printed
    assert "Traceback" not in printed
    assert not (toy.where / "results/prune/gaitset/p60").exists()
    assert "benchmark@local-gaitset-0" in toy.ran()
    failing.unlink()
    assert "train@gaitset" not in toy.snakemake()
    complete(toy)


@pytest.mark.slow
@pytest.mark.parametrize("command", [["dvc", "repro"], SNAKEMAKE], ids=["dvc", "snakemake"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_after_a_signal_to_all_processes_the_next_run_goes_on(
    toy: Toy, started: list[Run], command: list[str], number: signal.Signals
) -> None:
    started.append(Run(toy, command).until_training())
    started[0].kill_all(number)
    printed = started[0].ended()
    wait_until_gone(started[0].process.pid)
    started[0].let_go()
    assert "Traceback" not in printed or command[0] == "dvc"
    # By the other engine: what the first one noted of its jobs must not stay behind as work to do.
    assert "train@gaitset" in (toy.snakemake() if command[0] == "dvc" else toy.dvc("repro"))
    planned = run(["snakemake", "-n", "--cores", "2", "all"], toy.where)
    assert "Nothing to be done" in planned
    assert "Error" not in planned
    complete(toy)


@pytest.mark.slow
def test_jobs_of_a_killed_snakemake_go_on_and_the_next_one_waits_for_them(toy: Toy, started: list[Run]) -> None:
    started.append(Run(toy, SNAKEMAKE).until_training())
    started[0].kill("snakemake")
    started[0].ended()
    started.append(Run(toy, SNAKEMAKE))
    started[1].until("it waits", lambda: "waiting, for another process is at work" in logged(toy))
    started[1].let_go()
    assert started[1].process.wait(60) == 0, started[1].printed()
    assert started[0].ran().count("train@gaitset") == 1
    complete(toy)


@pytest.mark.slow
def test_what_is_being_made_is_out_of_date_to_whoever_asks_meanwhile(toy: Toy, started: list[Run]) -> None:
    started.append(Run(toy, SNAKEMAKE).until_training())
    asked = run(["snakemake", "-n", "--cores", "2", "all"], toy.where)
    assert "train" in asked
    printed = toy.fails(SNAKEMAKE)
    assert "another Snakemake" in printed or "no other Snakemake process" in printed
    started[0].let_go()
    assert started[0].process.wait(60) == 0, started[0].printed()
    complete(toy)


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh"])
def test_a_job_whose_dvc_was_killed_ends_and_runs_again(toy: Toy, started: list[Run], shell: str) -> None:
    started.append(Run(toy, SNAKEMAKE, SHELL=shell).until_training())
    (training,) = started[0].processes("toystage.py")
    started[0].kill("workflow.dvc.run_stage")
    assert "Killed" in started[0].ended()
    training.wait(10)  # though nobody let it go
    started[0].let_go()
    assert "train@gaitset" in toy.snakemake()
    complete(toy)


@pytest.mark.slow
def test_the_locks_of_a_running_snakemake_stay(toy: Toy, started: list[Run]) -> None:
    started.append(Run(toy, SNAKEMAKE).until_training())
    assert "another snakemake runs in this folder, so its locks stay" in toy.fails([*SNAKEMAKE, "--unlock"])
    printed = toy.fails(SNAKEMAKE)
    assert printed.index("leave --unlock alone") < printed.index("LockException")
    started[0].let_go()
    assert started[0].process.wait(60) == 0, started[0].printed()
    assert toy.snakemake() == set()
    complete(toy)


@pytest.mark.slow
def test_a_terminated_snakemake_lets_its_jobs_end_and_starts_no_more(toy: Toy, started: list[Run]) -> None:
    started.append(Run(toy, SNAKEMAKE).until_training())
    started[0].kill("snakemake", signal.SIGTERM)
    started[0].until("it says so", lambda: "Will exit after finishing currently running jobs" in started[0].printed())
    started[0].let_go()
    started[0].ended()
    assert started[0].ran() == ["train@gaitset"]
    assert "train@gaitset" not in toy.snakemake()
    complete(toy)


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"write": {"',
        json.dumps({"write": {"ROOT/results/train/gaitset": {"pid": os.getpid(), "cmd": "dvc repro -s x"}}}),
    ],
    ids=["empty", "half", "of a process whose number another has now"],
)
def test_a_damaged_list_of_locks_is_mended(toy: Toy, content: str) -> None:
    (toy.where / ".dvc/tmp/rwlock").write_text(content.replace("ROOT", str(toy.where)))
    printed = run(["snakemake", "--cores", "2", "results/train/gaitset"], toy.where)
    assert "train@gaitset" in toy.ran(), printed
    assert "waiting" not in logged(toy)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("committed", "cut"),
    [
        pytest.param(True, r".*\n  train@", id="committed"),
        pytest.param(False, r".*\n    cm", id="an entry that is none"),
        pytest.param(False, "", id="empty"),
    ],
)
def test_a_damaged_dvc_lock_is_reported_with_the_command_that_mends_it(
    made: Toy, tmp_path: Path, committed: bool, cut: str
) -> None:
    toy = made.copy(tmp_path)
    if committed:
        commit(toy.where, "results")
    left = re.match(cut, (toy.where / "dvc.lock").read_text(), re.DOTALL)
    assert left
    (toy.where / "dvc.lock").write_text(left[0])
    printed = toy.fails(SNAKEMAKE)
    command = "git checkout dvc.lock" if committed else "mv dvc.lock dvc.lock.damaged"
    assert f"error: dvc.lock is damaged; type `{command}` and run again" in printed
    run(command.split(), toy.where)
    assert toy.snakemake() <= {"probe@local", "track"}
    complete(toy)


@pytest.mark.slow
@pytest.mark.parametrize("command", [["dvc", "repro"], SNAKEMAKE], ids=["dvc", "snakemake"])
def test_after_a_full_disk_the_next_run_goes_on(made: Toy, tmp_path: Path, command: list[str]) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    size = 2 * sum(file.stat().st_size for file in made.where.rglob("*") if file.is_file() and not file.is_symlink())
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(disk)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be made here: {mounted.stderr.strip()}")
    try:
        toy = made.copy(disk / "repository")
        for lr in ("2e-3", "5e-3"):
            toy.edit(r"lr: \S+, weight_decay", f"lr: {lr}, weight_decay")
            free = shutil.disk_usage(disk).free
            with (disk / "filler").open("wb") as filler:
                filler.write(bytes(max(0, free - (16384 if lr == "2e-3" else 0))))
            printed = toy.fails(command)
            assert "No space left on device" in printed, printed
            (disk / "filler").unlink()
        _mended_if_reported(toy)
        toy.snakemake()
        complete(toy)
    finally:
        run(["umount", "-l", str(disk)], tmp_path)


def _mended_if_reported(toy: Toy) -> None:
    """Type what the first run says, if it says something."""
    done = subprocess.run(SNAKEMAKE, cwd=toy.where, env=environment(), capture_output=True, text=True)
    if done.returncode:
        command = done.stderr.partition("type `")[2].partition("`")[0]
        assert command, done.stderr
        run(command.split(), toy.where)
