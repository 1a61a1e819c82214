"""Parts of the check, each in a process of its own with a time of its own: what ends one leaves the others alone."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

GRACE_S = 5.0  # beyond its time, for a part that watches the clock itself


@dataclass(frozen=True)
class Context:
    """What a part needs to know, and where it notes its figures.

    Attributes:
        device: to check.
        tiny: whether only to show that everything runs, in seconds on a CPU.
        until: when its time is over, by ``time.monotonic``.
        file: the figures, a line each, so that none is lost with the process.
        folder: the part's own folder, for data.
    """

    device: torch.device
    tiny: bool
    until: float
    file: Path
    folder: Path

    @property
    def left_s(self) -> float:
        return self.until - time.monotonic()

    def note(self, name: str, value: Any) -> None:
        """Note a figure, or a group of them; it replaces what was noted before under the name."""
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps([name, value]) + "\n")
        say(f"  {name}: {json.dumps(value)}")

    def failed(self, name: str, why: str) -> None:
        """Note that something is wrong, and go on."""
        self.note(f"FAILED {name}", why)

    def tried(self, name: str, work: Callable[[], Any]) -> None:
        """Note what some work returns, or why it failed, or that there was no time left."""
        if self.left_s <= 0:
            self.note(f"left out {name}", "no time left")
            return
        try:
            self.note(name, work())
        except Exception as error:  # whatever it is, the rest is still to be measured
            say("".join(traceback.format_exception(error)).rstrip())
            self.failed(name, brief(error))


class Part(NamedTuple):
    """A part: its work, and how many seconds it may take."""

    work: Callable[[Context], None]
    seconds: float


def brief(error: BaseException) -> str:
    """An error in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:400]}"


def say(text: str) -> None:
    """Print how far the check is."""
    print(text, file=sys.stderr, flush=True)


def run(part: Part, device: torch.device, tiny: bool, seconds: float) -> dict[str, Any]:
    """Run a part in a fork of this process, which has imported everything and never touched the GPU.

    Args:
        part: what to run.
        device, tiny: as in Context.
        seconds: how long it may take at most; the part has its own limit too.

    Returns:
        ``status`` ("passed", "failed" or "stopped"), ``seconds``, and what the part noted: ``figures``, ``failures``, and
        ``left_out``, for which there was no time.
    """
    start = time.monotonic()
    allowed = min(part.seconds, seconds)
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as directory:
        file = Path(directory) / "figures.jsonl"
        file.touch()
        context = Context(device, tiny, start + allowed, file, Path(directory))
        process = multiprocessing.get_context("fork").Process(target=_alone, args=(part, context))
        process.start()
        process.join(allowed + GRACE_S)
        overdue = process.is_alive()
        _end(process)
        result = _read(file)
    code = process.exitcode
    if overdue:
        result["failures"]["time"] = f"still at work after {allowed:.0f} s"
    elif code:
        result["failures"]["process"] = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
    status = "stopped" if overdue else "failed" if result["failures"] else "passed"
    return {"status": status, "seconds": round(time.monotonic() - start, 1), **result}


def _alone(part: Part, context: Context) -> None:
    os.setsid()  # what it starts ends with it
    if context.device.type == "cpu":
        torch.set_num_threads(1)
    context.tried("all of it", partial(part.work, context))


def _end(process: Any) -> None:
    """End a part and all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()
    process.join()


def _read(file: Path) -> dict[str, dict[str, Any]]:
    noted: dict[str, Any] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            name, value = json.loads(line)
        except ValueError:
            continue  # the process ended while it wrote this
        noted[name] = value
    noted.pop("all of it", None)

    def with_prefix(prefix: str) -> dict[str, Any]:
        return {name.removeprefix(prefix): value for name, value in noted.items() if name.startswith(prefix)}

    failures, left_out = with_prefix("FAILED "), with_prefix("left out ")
    plain: Mapping[str, Any] = {
        name: value for name, value in noted.items() if not name.startswith(("FAILED ", "left out "))
    }
    return {"figures": dict(plain), "failures": failures, "left_out": left_out}
