"""The program that serves people, with answers that take a known time, and as a process as on a device."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.python import agent, server
from remote.runtimes.onnxruntime.runtime import PACKAGE
from tests.support.onnx_files import linear

SERVER = Path(server.__file__)
INPUTS = np.zeros((4, 1), np.float32)


def takes(seconds: float, a_question: float = 0.0) -> Callable[[np.ndarray], None]:
    """An engine that takes so long for a batch, and so much more for each question in it."""
    return lambda values: time.sleep(seconds + a_question * len(values))


def test_it_is_written_in_python_3_8_and_stands_alone() -> None:
    tree = ast.parse(SERVER.read_text(encoding="utf-8"), feature_version=(3, 8))
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in imports if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= set(sys.stdlib_module_names) | {"numpy"}


@given(st.integers(1, 20), st.floats(0.5, 50), st.floats(0.1, 3))
def test_every_person_asks_at_the_rate_from_a_moment_of_their_own(people: int, rate: float, seconds: float) -> None:
    times = server.moments(people, rate, seconds)
    assert (np.diff(times) >= 0).all()
    assert ((times >= 0) & (times < seconds)).all()
    assert people * (int(seconds * rate)) <= len(times) <= people * (int(seconds * rate) + 1)


def test_a_batch_is_full_or_goes_when_the_first_has_waited() -> None:
    sizes: list[int] = []
    streams = server.Streams([lambda values: sizes.append(len(values))], INPUTS, 1.0)
    begun = time.perf_counter()
    for _ in range(4):
        streams.ask(time.perf_counter())
    while not sizes:
        time.sleep(0.001)
    assert time.perf_counter() - begun < 0.8  # full, so nobody waits
    streams.ask(asked := time.perf_counter())
    while len(sizes) < 2:
        time.sleep(0.001)
    assert time.perf_counter() - asked >= 1
    streams.close(time.perf_counter() + 5)
    assert sizes == [4, 1]
    assert streams.latencies[-1] >= 1


def test_a_server_that_falls_behind_does_not_hide_it() -> None:
    """100 questions a second, and 20 ms for each: half of them are answered in time, and later ones wait ever longer."""
    trial = server.trial([takes(0.02)], INPUTS[:1], 4, 25, 0.0, 1.0)
    assert trial["answered"] < 0.95
    assert trial["p99_ms"] is None  # more than one in a hundred got no answer at all
    assert trial["p50_ms"] > 10 * 20


@pytest.mark.slow
def test_the_most_people_is_where_the_limit_of_latency_or_the_throughput_ends() -> None:
    # 5 ms a question: at most 200 a second, which is 10 people at 20 a second.
    people, trials = server.most_people([takes(0.005)], INPUTS[:1], 20, 50, 0.0, 0.5)
    assert 2 <= people <= 10
    assert all(row["people"] <= 22 for row in trials)
    # No question is answered within 3 ms.
    assert server.most_people([takes(0.005)], INPUTS[:1], 100, 3, 0.0, 0.3)[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("more", ["streams", "batch"])
def test_more_streams_or_larger_batches_serve_more_people(more: str) -> None:
    one = server.most_people([takes(0.01)], INPUTS[:1], 20, 60, 0.01, 0.5)[0]
    if more == "streams":
        several = server.most_people([takes(0.01)] * 3, INPUTS[:1], 20, 60, 0.01, 0.5)[0]
    else:
        several = server.most_people([takes(0.01, 0.0005)], INPUTS, 20, 60, 0.02, 0.5)[0]
    assert several > one


@pytest.mark.slow
def test_a_moment_that_something_else_took_does_not_halve_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    searching, full = threading.Event(), server.at_most
    delays = iter([0.5])  # of the first question in the search

    def first(*given: Any) -> float:
        most: float = full(*given)
        searching.set()
        return most

    def answer(values: np.ndarray) -> None:
        time.sleep(0.005 + (next(delays, 0) if searching.is_set() else 0))

    monkeypatch.setattr(server, "at_most", first)
    people, trials = server.most_people([answer], INPUTS[:1], 20, 60, 0.0, 0.5)
    assert trials[0]["people"] == trials[1]["people"]  # tried again
    assert people >= 4


@pytest.mark.slow
def test_batches_that_are_slower_when_full_do_not_cap_the_search() -> None:
    def answer(values: np.ndarray) -> None:
        time.sleep(0.004 if len(values) < 4 else 0.2)

    # Full batches give 20 inferences a second, single questions 250.
    people, _ = server.most_people([answer], INPUTS, 10, 60, 0.0, 0.5)
    assert people > 3


def test_an_engine_that_breaks_ends_the_trial_with_its_error() -> None:
    def breaks(values: np.ndarray) -> None:
        raise ValueError("out of memory")

    with pytest.raises(ValueError, match="out of memory"):
        server.trial([breaks], INPUTS[:1], 1, 500, 0.0, 0.1)
    with pytest.raises(ValueError, match="out of memory"):
        server.at_most([takes(0.001), breaks], INPUTS[:1], 0.1)
    assert not [thread for thread in threading.enumerate() if thread.name == "stream"]


def serve(engine: Path, example: Path, **more: object) -> subprocess.CompletedProcess[str]:
    words = {"streams": 2, "threads": 1, "batch": 2, "rate": 1000, "limit-ms": 30, "wait-ms": 1, "duration-s": 0.2, **more}
    command = [sys.executable, SERVER, "--agent", agent.__file__, "--part", PACKAGE.part, "--engine", engine]
    command += ["--example", example, *(text for key, value in words.items() for text in (f"--{key}", str(value)))]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True)


@pytest.mark.slow
def test_the_program_answers_with_people_latencies_and_throughput(tmp_path: Path) -> None:
    example = tmp_path / "example.npy"
    np.save(example, np.ones((2, 4), np.float32))
    done = serve(linear(tmp_path / "engine.onnx"), example)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed["throughput_per_s"] > 0
    served = [row for row in printed["trials"] if row["p99_ms"] is not None and row["p99_ms"] <= 30]
    assert printed["people"] == max((row["people"] for row in served), default=0)
    if served:
        assert 0 < printed["p50_ms"] <= printed["p99_ms"] <= 30
    assert all(row["questions"] >= 150 for row in printed["trials"])
    assert (printed["energy_mj_per_inference"] is None) == (printed["energy_reason"] is not None)
    (tmp_path / "broken.onnx").write_bytes(b"junk")
    done = serve(tmp_path / "broken.onnx", example)
    assert done.returncode == 1
    assert "error" in json.loads(done.stdout)
