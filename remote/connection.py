"""Running our scripts on a device, each in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import IO, Any

import numpy as np

from remote.errors import DeviceError, EngineFailed

HERE = Path(__file__).parent


class Local:
    """This machine: paths mean the same here and there."""

    def call(self, script: str, arguments: Sequence[str] = (), threads: int = 1) -> dict[str, Any]:
        """Run remote/<script> and return its answer.

        Raises:
            EngineFailed: it answered with an error or crashed.
            DeviceError: it was ended from outside.
        """
        done = subprocess.run(_command(script, arguments), env=_environment(threads), capture_output=True, check=False)
        answer = _answer(done.stdout)
        if done.returncode or "error" in answer:
            raise _failure(answer, done.returncode, done.stderr)
        return answer

    def cores(self) -> int:
        """How many cores this process may use."""
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def stream(
        self, arguments: Sequence[str], threads: int, inputs: Iterable[np.ndarray], processes: int = 1
    ) -> list[np.ndarray]:
        """Run agent.py over inputs, float32 in and out.

        Args:
            arguments: of agent.py.
            threads: of each process.
            inputs: asked for one at a time, so that a data set need not fit in memory.
            processes: how many agents share the inputs; each input is one agent's own, so the outputs are the same.

        Returns:
            The outputs in the order of the inputs.

        Raises:
            EngineFailed: an agent answered with an error or crashed.
            DeviceError: one was ended from outside.
        """
        shared = _Shared(inputs)
        outputs: dict[int, np.ndarray] = {}

        def work() -> None:
            item = shared.next()
            if item is None:
                return
            with tempfile.TemporaryFile() as log, _Agent(arguments, threads, log) as agent:
                while item is not None:
                    number, values = item
                    outputs[number] = agent.answer(np.ascontiguousarray(values, np.float32))
                    item = shared.next()
                agent.finish()

        with ThreadPoolExecutor(processes) as pool:
            try:
                for worker in as_completed([pool.submit(work) for _ in range(processes)]):
                    worker.result()
            finally:
                shared.stop()  # after a failure, the others need not go on
        return [outputs[number] for number in range(len(outputs))]


class _Shared:
    """Numbered inputs that several threads take from one iterable, which is run by one of them at a time."""

    def __init__(self, inputs: Iterable[np.ndarray]):
        self._inputs = enumerate(inputs)
        self._lock = threading.Lock()
        self._stopped = False

    def next(self) -> tuple[int, np.ndarray] | None:
        """The next input with its number from 0; None if there are no more."""
        with self._lock:
            try:
                return None if self._stopped else next(self._inputs, None)
            except BaseException:
                self._stopped = True
                raise

    def stop(self) -> None:
        """Hand out no more."""
        self._stopped = True


class _Ended(Exception):
    """The agent said something other than an output, or nothing."""

    def __init__(self, line: bytes):
        super().__init__()
        self.line = line


class _Agent:
    """agent.py as a process that answers inputs one by one and is gone when the block ends; ``log`` takes what it prints."""

    def __init__(self, arguments: Sequence[str], threads: int, log: IO[bytes]):
        self._log = log
        self._process = subprocess.Popen(
            _command("agent.py", arguments),
            env=_environment(threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._sink, self._source = self._process.stdin, self._process.stdout

    def __enter__(self) -> _Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._source.close()
        if not self._sink.closed:
            _quietly_close(self._sink)

    def answer(self, values: np.ndarray) -> np.ndarray:
        """The output for an input.

        Raises:
            EngineFailed, DeviceError: as for Local.stream.
        """
        try:
            return _exchange(self._sink, self._source, values)
        except _Ended as ended:
            raise self._failure(ended.line) from None

    def finish(self) -> None:
        """Let the process end, which it does well once there are no more inputs.

        Raises:
            EngineFailed, DeviceError: it did not.
        """
        self._sink.close()
        head = self._source.readline()
        if self._process.wait() or head:
            raise self._failure(head)

    def _failure(self, line: bytes) -> DeviceError:
        code = self._process.wait()
        self._log.seek(0)
        return _failure(_answer(line), code, self._log.read())


def _exchange(sink: IO[bytes], source: IO[bytes], values: np.ndarray) -> np.ndarray:
    try:
        sink.write(json.dumps({"shape": values.shape}).encode() + b"\n")
        sink.write(values.tobytes())
        sink.flush()
    except BrokenPipeError:
        raise _Ended(source.readline()) from None
    line = source.readline()
    shape = _answer(line).get("shape")
    if shape is None:
        raise _Ended(line)
    return np.frombuffer(source.read(4 * int(np.prod(shape))), np.float32).reshape(shape)


def _quietly_close(pipe: Any) -> None:
    # What was still to be sent has no reader any more.
    with contextlib.suppress(BrokenPipeError):
        pipe.close()


def _command(script: str, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, str(HERE / script), *arguments]


def _environment(threads: int) -> dict[str, str]:
    pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    return {**os.environ, **dict.fromkeys(pools, str(threads))}


def _answer(output: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(output)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _failure(answer: dict[str, Any], code: int, log: bytes) -> DeviceError:
    if "error" in answer:
        return EngineFailed(answer["error"])
    if code in (-signal.SIGINT, -signal.SIGTERM):
        return DeviceError("the measuring process was ended from outside; nothing was recorded")
    if code == -signal.SIGKILL:
        return EngineFailed("the measuring process was killed (signal 9), most likely because memory ran out")
    said = log.decode(errors="replace").strip().splitlines()
    return EngineFailed(f"the measuring process ended with status {code}: {said[-1] if said else 'it said nothing'}")
