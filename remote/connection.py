"""Run our scripts on a device, each in a process of its own."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import IO, Any

import numpy as np

from remote.errors import DeviceError, EngineFailed, LinkLost, ended_by, killed
from remote.inputs import Group, Sender, groups
from remote.transport import Finished, Process, Transport

AHEAD = 3  # groups of inputs
GOES_DOWN_S = 2  # between the end of a device's programs and that of its links


class Agent:
    """Runs our scripts on a device with one of its Pythons."""

    def __init__(self, link: Transport, python: str):
        self.link = link
        self.python = python

    def call(
        self, script: Path, arguments: Sequence[str] = (), threads: int = 1, *, repeatable: bool = False
    ) -> dict[str, Any]:
        """Run a script of ours and return its answer; ``repeatable`` if it may be run again after a lost link.

        Raises:
            EngineFailed: the script answered with an error or crashed.
            LinkLost: the connection broke, which ends the script.
            DeviceError: something outside ended the script.
        """
        done = self.link.run(self._command(script, arguments), env=_environment(threads), repeatable=repeatable)
        answer = answer_in(done.stdout)
        if done.code or answer is None or "error" in answer:
            raise _failure(self.link, answer or {}, done)
        return answer

    def answers(self, script: Path, arguments: Sequence[str], threads: int = 1) -> Iterator[dict[str, Any]]:
        """The answers of a script that has several, as they come.

        Raises:
            EngineFailed: the script crashed.
            LinkLost: the connection broke, which ends the script.
            DeviceError: something outside ended the script.
        """
        process = self.link.start(self._command(script, arguments), _environment(threads))
        try:
            while (answer := next_answer(process.stdout)) is not None:
                yield answer
            done = process.wait()
            if done.code:
                raise _failure(self.link, {}, done)
        finally:
            process.kill()

    def stream(
        self, script: Path, arguments: Sequence[str], threads: int, inputs: Iterable[np.ndarray], processes: int = 1
    ) -> list[np.ndarray]:
        """The outputs of a script for inputs, which need not fit in memory together; float32 in and out.

        Inputs travel while the device works at earlier ones; remote/inputs.py says how.

        Args:
            script: a script that answers as remote/inputs.py says.
            arguments: the script's arguments.
            threads: the threads of each process.
            inputs: the inputs; this takes one at a time.
            processes: how many agents share the inputs; one agent answers each input, so the outputs are the same.

        Raises:
            EngineFailed: an agent answered with an error or crashed.
            LinkLost: the connection broke, which ends the agents.
            DeviceError: something outside ended an agent.
        """
        shared, sender = _Shared(groups(self.link, inputs)), Sender(self.link)
        command = self._command(script, arguments)

        def work() -> dict[int, np.ndarray]:
            numbers: list[int] = []
            process = self.link.start(command, _environment(threads))
            outputs = stream(self.link, process, shared.taken(numbers), sender)
            return dict(zip(numbers, outputs, strict=True))

        outputs: dict[int, np.ndarray] = {}
        with ThreadPoolExecutor(processes) as pool:
            try:
                for done in as_completed([pool.submit(work) for _ in range(processes)]):
                    outputs |= done.result()
            finally:
                shared.stop()  # after a failure, the others need not go on
        return [outputs[number] for number in range(len(outputs))]

    def _command(self, script: Path, arguments: Sequence[str]) -> list[str]:
        return [self.python, self.link.place(script), *arguments]


def stream(link: Transport, agent: Process, inputs: Iterable[Group], sender: Sender) -> list[np.ndarray]:
    """Give a program inputs and return its outputs, then end it. Agent.stream says how they travel, and has the errors."""
    feeder = _Feeder(agent.stdin, inputs, sender)
    outputs = []
    try:
        while (said := next_answer(agent.stdout)) and (shape := said.get("shape")) is not None:
            size = 4 * int(np.prod(shape))
            values = agent.stdout.read(size)
            if len(values) < size:
                break
            outputs.append(np.frombuffer(values, np.float32).reshape(shape))
            feeder.answered(len(outputs))
        done = agent.wait()
        if done.code or said is not None:
            raise _failure(link, said or {}, done)
    finally:
        agent.kill()
        feeder.stop()
    if feeder.fault:
        raise feeder.fault
    return outputs


class _Shared:
    """Groups of inputs that several threads take from one iterable; only one thread at a time advances it."""

    def __init__(self, inputs: Iterable[Group]):
        self._inputs = iter(inputs)
        self._count = 0
        self._lock = threading.Lock()
        self._stopped = False

    def taken(self, numbers: list[int]) -> Iterator[Group]:
        """Yield groups that no other thread has, and append the positions of their inputs to ``numbers``."""
        while True:
            with self._lock:
                try:
                    group = None if self._stopped else next(self._inputs, None)
                except BaseException:
                    self._stopped = True
                    raise
                if group is None:
                    return
                numbers.extend(range(self._count, self._count + len(group)))
                self._count += len(group)
            yield group

    def stop(self) -> None:
        """Hand out no more groups."""
        self._stopped = True


class _Feeder(threading.Thread):
    """Writes inputs to a program, a few groups ahead of its answers, so that programs that share inputs stay even.

    Attributes:
        fault: the error that the inputs themselves raised, or None.
    """

    def __init__(self, sink: IO[bytes], inputs: Iterable[Group], sender: Sender):
        super().__init__(daemon=True)
        self.fault: Exception | None = None
        self._sink, self._inputs, self._sender = sink, inputs, sender
        self._room = threading.Semaphore(AHEAD)
        self._count, self._ends = 0, set[int]()  # inputs taken so far, and their number at each group's end
        self._stopped = False
        self.start()

    def answered(self, count: int) -> None:
        """Take note that ``count`` answers have come."""
        if count in self._ends:
            self._room.release()

    def stop(self) -> None:
        """Stop writing, and wait for the thread to end."""
        self._stopped = True
        self._room.release()
        self.join()

    def run(self) -> None:
        try:
            for group in self._inputs:
                self._count += len(group)
                self._ends.add(self._count)
                message = self._sender.message(group)
                self._room.acquire()
                if self._stopped:
                    break
                self._sink.write(message)
                self._sink.flush()
            self._sink.close()
        except (BrokenPipeError, ValueError) as error:
            # The agent reads no more, and says why. A write to a closed file is a ValueError.
            if isinstance(error, ValueError) and not self._sink.closed:
                self.fault = error
        except Exception as error:
            self.fault = error
        finally:
            with contextlib.suppress(OSError, ValueError):
                self._sink.close()


def _environment(threads: int) -> dict[str, str]:
    pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    return dict.fromkeys(pools, str(threads))


def answer_in(output: bytes) -> dict[str, Any] | None:
    """The last line that is a mapping in JSON, or None; before it, a Python may greet (sitecustomize, .pth files)."""
    for line in reversed(output.splitlines()):
        with contextlib.suppress(ValueError):
            if isinstance(answer := json.loads(line), dict):
                return answer
    return None


def next_answer(output: IO[bytes]) -> dict[str, Any] | None:
    """The next line that is a mapping in JSON; None if there is no more."""
    while line := output.readline():
        if (answer := answer_in(line)) is not None:
            return answer
    return None


def killed_there(link: Transport, program: str) -> EngineFailed:
    """The error for a program on a device that something else than this pipeline killed.

    Raises:
        LinkLost: the whole device went down, which kills its programs first.
    """
    time.sleep(GOES_DOWN_S)
    if link.lost:
        raise LinkLost(f"{link.name}: the connection broke after {program} was killed; the device went down")
    return EngineFailed(killed(program))


def _failure(link: Transport, answer: dict[str, Any], done: Finished) -> DeviceError:
    if "error" in answer:
        return EngineFailed(answer["error"])
    if done.code in (-signal.SIGINT, -signal.SIGTERM):
        return DeviceError("the measuring process was ended from outside; nothing was recorded")
    if done.code == -signal.SIGKILL:
        return killed_there(link, "the measuring process")
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    said = lines[-1] if lines else "it said nothing"
    if done.code < 0:
        return EngineFailed(f"{ended_by('the measuring process', -done.code)}: {said}")
    return EngineFailed(f"the measuring process ended with status {done.code}: {said}")
