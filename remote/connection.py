"""Running our scripts on a device, each in a process of its own."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import IO, Any

import numpy as np

from remote.errors import DeviceError, EngineFailed
from remote.transport import Finished, Process, Transport

HERE = Path(__file__).parent


class Agent:
    """Our scripts on one device, run by one of its Pythons."""

    def __init__(self, link: Transport, python: str):
        self.link = link
        self.python = python

    def call(
        self, script: str, arguments: Sequence[str] = (), threads: int = 1, *, repeatable: bool = False
    ) -> dict[str, Any]:
        """Run remote/<script> and return its answer; ``repeatable`` if it may be run again after a lost link.

        Raises:
            EngineFailed: it answered with an error or crashed.
            LinkLost: the connection broke; the script is ended.
            DeviceError: it was ended from outside.
        """
        done = self.link.run(self._command(script, arguments), env=_environment(threads), repeatable=repeatable)
        answer = _answer(done.stdout)
        if done.code or "error" in answer:
            raise _failure(answer, done)
        return answer

    def stream(
        self, arguments: Sequence[str], threads: int, inputs: Iterable[np.ndarray], processes: int = 1
    ) -> list[np.ndarray]:
        """Run agent.py over inputs, which need not fit in memory together; float32 in and out.

        Inputs are sent while the device works at those before them, as many as the connection holds.

        Args:
            arguments: of agent.py.
            threads: of each process.
            inputs: asked for one at a time.
            processes: how many agents share the inputs; each input is one agent's own, so the outputs are the same.

        Raises:
            EngineFailed: an agent answered with an error or crashed.
            LinkLost: the connection broke; the agents are ended.
            DeviceError: one was ended from outside.
        """
        shared = _Shared(inputs)
        command = self._command("agent.py", arguments)

        def work() -> dict[int, np.ndarray]:
            numbers: list[int] = []
            outputs = stream(self.link.start(command, _environment(threads)), shared.taken(numbers))
            return dict(zip(numbers, outputs, strict=True))

        outputs: dict[int, np.ndarray] = {}
        with ThreadPoolExecutor(processes) as pool:
            try:
                for done in as_completed([pool.submit(work) for _ in range(processes)]):
                    outputs |= done.result()
            finally:
                shared.stop()  # after a failure, the others need not go on
        return [outputs[number] for number in range(len(outputs))]

    def _command(self, script: str, arguments: Sequence[str]) -> list[str]:
        return [self.python, self.link.place(HERE / script), *arguments]


def stream(agent: Process, inputs: Iterable[np.ndarray]) -> list[np.ndarray]:
    """Give a program inputs and take its outputs, then end it. See Agent.stream for how they go and what is raised."""
    feeder = _Feeder(agent.stdin, inputs)
    outputs = []
    try:
        while (line := agent.stdout.readline()) and (shape := _answer(line).get("shape")) is not None:
            size = 4 * int(np.prod(shape))
            values = agent.stdout.read(size)
            if len(values) < size:
                break
            outputs.append(np.frombuffer(values, np.float32).reshape(shape))
        done = agent.wait()
        if done.code or line:
            raise _failure(_answer(line), done)
    finally:
        agent.kill()
        feeder.join()
    if feeder.fault:
        raise feeder.fault
    return outputs


class _Shared:
    """Inputs that several threads take from one iterable, which is run by one of them at a time."""

    def __init__(self, inputs: Iterable[np.ndarray]):
        self._inputs = enumerate(inputs)
        self._lock = threading.Lock()
        self._stopped = False

    def taken(self, numbers: list[int]) -> Iterator[np.ndarray]:
        """Inputs that nobody else has; their positions are appended to ``numbers``."""
        while True:
            with self._lock:
                try:
                    item = None if self._stopped else next(self._inputs, None)
                except BaseException:
                    self._stopped = True
                    raise
            if item is None:
                return
            numbers.append(item[0])
            yield item[1]

    def stop(self) -> None:
        """Hand out no more."""
        self._stopped = True


class _Feeder(threading.Thread):
    """Writes inputs as the wire has them: a line of JSON with the shape, then the values.

    Attributes:
        fault: what went wrong with the inputs themselves.
    """

    def __init__(self, sink: IO[bytes], inputs: Iterable[np.ndarray]):
        super().__init__(daemon=True)
        self.fault: Exception | None = None
        self._sink, self._inputs = sink, inputs
        self.start()

    def run(self) -> None:
        try:
            for given in self._inputs:
                values = np.ascontiguousarray(given, np.float32)
                self._sink.write(json.dumps({"shape": values.shape}).encode() + b"\n" + values.tobytes())
            self._sink.close()
        except (BrokenPipeError, ValueError) as error:
            # The agent reads no more; why, it says itself. A file that was closed under us is a ValueError.
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


def _answer(output: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(output)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _failure(answer: dict[str, Any], done: Finished) -> DeviceError:
    if "error" in answer:
        return EngineFailed(answer["error"])
    if done.code in (-signal.SIGINT, -signal.SIGTERM):
        return DeviceError("the measuring process was ended from outside; nothing was recorded")
    if done.code == -signal.SIGKILL:
        return EngineFailed("the measuring process was killed (signal 9), most likely because memory ran out")
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return EngineFailed(f"the measuring process ended with status {done.code}: {said[-1] if said else 'it said nothing'}")
