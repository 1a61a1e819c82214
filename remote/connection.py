"""Running our scripts on a device, each in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
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

    def stream(self, arguments: Sequence[str], threads: int, inputs: Iterable[np.ndarray]) -> list[np.ndarray]:
        """Run agent.py over inputs, one at a time so that a data set need not fit in memory; float32 in and out.

        Raises:
            EngineFailed: the agent answered with an error or crashed.
            DeviceError: it was ended from outside.
        """
        outputs = []
        with tempfile.TemporaryFile() as log:
            agent = subprocess.Popen(
                _command("agent.py", arguments),
                env=_environment(threads),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
            assert agent.stdin is not None
            assert agent.stdout is not None
            try:
                for values in inputs:
                    outputs.append(_exchange(agent.stdin, agent.stdout, np.ascontiguousarray(values, np.float32)))
                agent.stdin.close()
                head = agent.stdout.readline()
                if agent.wait() or head:
                    raise _Ended(head)
            except _Ended as ended:
                code = agent.wait()
                log.seek(0)
                raise _failure(_answer(ended.line), code, log.read()) from None
            finally:
                agent.kill()
                agent.wait()
                agent.stdout.close()
                if not agent.stdin.closed:
                    _quietly_close(agent.stdin)
        return outputs


class _Ended(Exception):
    """The agent said something other than an output, or nothing."""

    def __init__(self, line: bytes):
        super().__init__()
        self.line = line


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
