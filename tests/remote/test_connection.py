import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from remote import connection
from remote.connection import Agent
from remote.errors import DeviceError, EngineFailed
from remote.python.runtime import AGENT, CONDITIONS
from remote.runtimes.onnxruntime.runtime import PACKAGE
from remote.transport.local import LocalTransport
from tests.support.onnx_files import linear, weights


@pytest.fixture
def here() -> Iterator[Agent]:
    with LocalTransport() as link:
        link.run(["true"])
        yield Agent(link, sys.executable)


def run(engine: Path) -> list[str]:
    return ["--part", str(PACKAGE.part), "run", "--engine", str(engine)]


@pytest.fixture
def script(here: Agent, tmp_path: Path):
    """Runs the test's own script in place of the agent's."""

    def call(text: str, *arguments: str) -> dict:
        (tmp_path / "script.py").write_text(text)
        return here.call(tmp_path / "script.py", arguments)

    return call


def test_the_conditions_of_this_machine_are_answered(here: Agent) -> None:
    answer = here.call(CONDITIONS)
    assert {"load", "free_memory_mb", "cpu_mhz", "governor", "temperature_c", "unreadable"} == set(answer)


def test_arguments_arrive_as_they_are(script) -> None:
    hostile = ["a b", "$(touch x)", "; exit 1", "\n", "--", "'\""]
    assert script("import json, sys; print(json.dumps({'got': sys.argv[1:]}))", *hostile) == {"got": hostile}


def test_threads_bound_every_pool(here: Agent, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import json, os; print(json.dumps(dict(os.environ)))")
    assert here.call(tmp_path / "script.py", threads=3)["OMP_NUM_THREADS"] == "3"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('print(\'{"error": "too\\\\nbad"}\')', "too\nbad"),
        ("import sys; sys.exit('first\\nlast words')", "ended with status 1: last words"),
        ("import sys; sys.exit(3)", "ended with status 3: it said nothing"),
        (f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})", "memory ran out"),
        (f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})", "crashed (SIGSEGV): it said nothing"),
        (
            f"import os; os.kill(os.getpid(), {int(signal.SIGILL)})",
            "an instruction that the processor does not have (SIGILL)",
        ),
    ],
)
def test_a_failure_has_its_reason(script, text: str, reason: str) -> None:
    with pytest.raises(EngineFailed) as raised:
        script(text)
    assert reason in str(raised.value)


def test_a_process_ended_from_outside_is_no_result_of_the_engine(script) -> None:
    with pytest.raises(DeviceError, match="ended from outside") as raised:
        script(f"import os; os.kill(os.getpid(), {int(signal.SIGTERM)})")
    assert not isinstance(raised.value, EngineFailed)


@pytest.mark.parametrize("processes", [1, 3, 9])
def test_inputs_of_different_lengths_stream_through_an_engine(here: Agent, tmp_path: Path, processes: int) -> None:
    engine = linear(tmp_path / "engine.onnx")
    rng = np.random.default_rng(1)
    inputs = [rng.standard_normal((rows, 4)).astype(np.float32) for rows in (1, 5, 2, 3, 1, 4)]
    outputs = here.stream(AGENT, run(engine), 1, iter(inputs), processes)
    for given, output in zip(inputs, outputs, strict=True):
        np.testing.assert_allclose(output, given @ weights(), rtol=1e-5, atol=1e-6)


def test_the_number_of_processes_changes_no_bit(here: Agent, tmp_path: Path) -> None:
    engine = linear(tmp_path / "engine.onnx")
    inputs = list(np.random.default_rng(2).standard_normal((40, 3, 4)).astype(np.float32))
    alone, shared = (here.stream(AGENT, run(engine), 1, inputs, processes) for processes in (1, 2))
    assert [output.tobytes() for output in alone] == [output.tobytes() for output in shared]


@pytest.mark.parametrize("processes", [1, 2])
def test_an_input_that_the_engine_refuses_ends_the_processes(here: Agent, tmp_path: Path, processes: int) -> None:
    engine = linear(tmp_path / "engine.onnx")
    before = children()
    asked = []

    def inputs():
        for number in range(10**7):
            asked.append(number)
            yield np.ones((1, 5 if number == 3 else 4))

    with pytest.raises(EngineFailed, match="x"):
        here.stream(AGENT, run(engine), 1, inputs(), processes)
    assert children() <= before
    assert len(asked) < 10**7


def test_an_engine_that_cannot_be_loaded_fails_while_inputs_still_wait(here: Agent, tmp_path: Path) -> None:
    (tmp_path / "engine.onnx").write_bytes(b"junk")
    with pytest.raises(EngineFailed):
        here.stream(AGENT, run(tmp_path / "engine.onnx"), 1, (np.ones((999, 4)) for _ in range(99)))


@pytest.mark.parametrize("processes", [1, 2])
def test_a_fault_in_the_inputs_ends_the_processes(here: Agent, tmp_path: Path, processes: int) -> None:
    def inputs():
        yield np.ones((1, 4))
        raise OSError("disk gone")

    before = children()
    with pytest.raises(OSError, match="disk gone"):
        here.stream(AGENT, run(linear(tmp_path / "engine.onnx")), 1, inputs(), processes)
    assert children() <= before


def children() -> set[str]:
    """The children of this process that still run."""
    listed = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    if not listed.exists():
        pytest.skip("this system does not list a process's children")
    return set(listed.read_text().split())


@pytest.mark.parametrize("output", [b"", b"junk", b"[1]", b"\xff\xfe", json.dumps("text").encode()])
def test_an_answer_that_is_no_mapping_is_none(output: bytes) -> None:
    assert connection.answer_in(output) is None
