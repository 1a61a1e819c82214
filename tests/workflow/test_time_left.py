"""How long a run will still take, and where that is printed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.toy import environment
from tests.support.toy_pipeline import Toy
from workflow.snakemake.time_left import Job, TimeLeft, least_s, readable

DEVICES = ("local", "board")


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


JOB = st.tuples(st.floats(0, 100), st.integers(1, 8), st.sampled_from([None, *DEVICES]), st.sets(st.integers(0, 9)))
JOBS = st.lists(JOB, max_size=10)


@given(JOBS, st.integers(1, 4))
def test_jobs_never_end_before_the_least_time_and_one_after_the_other_takes_the_longest(drawn: list, cores: int) -> None:
    jobs = [
        Job(str(place), tuple(str(before) for before in befores if before < place), threads, device)
        for place, (_, threads, device, befores) in enumerate(drawn)
    ]
    rest = {job.address: seconds for job, (seconds, *_) in zip(jobs, drawn, strict=True)}
    least = least_s(jobs, rest, cores)
    # A schedule that keeps all rules: one job at a time.
    assert least <= sum(rest.values()) + 1e-6
    assert least >= max(rest.values(), default=0.0)
    for device in DEVICES:
        assert least >= sum(rest[job.address] for job in jobs if job.device == device) - 1e-6
    if cores == 1:
        assert least == pytest.approx(sum(rest.values()))


def test_what_is_left_is_what_cores_chains_and_devices_allow() -> None:
    jobs = [Job("train", (), 1), Job("prune", ("train",), 1), Job("other", (), 2)]
    assert least_s(jobs, {"train": 60, "prune": 30, "other": 10}, 2) == 90  # the chain
    assert least_s(jobs, {"train": 60, "prune": 30, "other": 60}, 2) == 105  # the cores: half of 60 + 30 + 2 x 60
    on_board = [Job(f"benchmark-{n}", (), 1, "board") for n in range(3)]
    assert least_s(on_board, {job.address: 20 for job in on_board}, 8) == 60


def test_time_that_has_passed_is_gone_and_jobs_that_ended_too() -> None:
    clock, durations = Clock(), {"train@gaitset": 300.0, "prune@gaitset-0": 120.0}
    jobs = [Job("train@gaitset", (), 1), Job("prune@gaitset-0", ("train@gaitset",), 1)]
    left = TimeLeft(jobs, 2, DEVICES, lambda: durations, clock)
    assert left.words() == "about 7 min left"
    left.started("train@gaitset")
    clock.now = 200
    assert left.words() == "about 4 min left"  # 100 s of training, 120 s of pruning
    left.ended("train@gaitset")
    left.started("prune@gaitset-0")
    clock.now = 2000  # it takes longer than it did
    assert left.words() == "about 1 min left"
    left.ended("prune@gaitset-0")
    clock.now = 3000
    assert left.words() is None


def test_what_never_ran_is_named_as_unknown() -> None:
    clock, durations = Clock(), dict[str, float]()
    jobs = [Job(address, (), 1) for address in ("train@gaitset", "prune@gaitset-0", "prune@gaitset-30", "report")]
    left = TimeLeft(jobs, 1, DEVICES, lambda: durations, clock)
    assert left.words() == "time left: not known before each stage has run once; 3 of them have not"
    durations |= {"train@gaitset": 80.0, "prune@gaitset-0": 60.0}
    clock.now = 10
    assert left.words() == "time left: not known before each stage has run once; 1 of them has not"


def test_hours_have_minutes_and_the_least_time_is_a_minute() -> None:
    assert [readable(minutes) for minutes in (0, 1, 59, 60, 125)] == ["1 min", "1 min", "59 min", "1 h 0 min", "2 h 5 min"]


def test_a_run_says_how_long_the_rest_takes(tmp_path: Path) -> None:
    toy = Toy.make(tmp_path)

    def below_the_first_step(*options: str) -> str:
        command = ["snakemake", "--cores", "2", "data/preprocessed/silhouette", *options]
        done = subprocess.run(command, cwd=toy.where, env=environment(), capture_output=True, text=True, check=True)
        lines = done.stderr.splitlines()
        steps = [place for place, line in enumerate(lines) if re.match(r"1 of 2 steps", line)]
        return lines[steps[0] + 1] if steps else done.stderr

    assert below_the_first_step() == "time left: not known before each stage has run once; 1 of them has not"
    toy.edit(r"(?m)^    frames: \d+ ", "    frames: 20 ")
    assert below_the_first_step() == "about 1 min left"
    toy.edit(r"(?m)^    frames: \d+ ", "    frames: 22 ")
    assert "left" not in below_the_first_step("--quiet", "progress")
