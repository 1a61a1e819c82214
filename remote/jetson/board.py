"""Ask a Jetson, through a transport, what it is and in which state it is."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remote.connection import answer_in, killed_there, next_answer
from remote.errors import DeviceError
from remote.jetson import clocks, nvpmodel, program, release
from remote.transport import Process, Transport

ANSWER_S = 120.0  # for short questions; a board under load is slow
# Names of processor cores by implementer and part in /proc/cpuinfo.
CORES = {"0x41 0xd07": "Cortex-A57", "0x41 0xd42": "Cortex-A78AE", "0x4e 0x004": "Carmel", "0x41 0xd83": "Neoverse-V3AE"}


@dataclass(frozen=True)
class State:
    """The state of a board; a value that cannot be read is None, and its reason is under ``unreadable``.

    Attributes:
        mode: its power mode.
        modes: ids of all its power modes by name.
        locked: whether the GPU runs at one clock only.
        gpu_mhz: the GPU's lowest, highest and present clock.
        temperature_c: the temperature of the hottest sensor of processor and GPU.
        throttling: what slows the board down now, and how much.
        load: the load of the last minute.
        free_memory_mb: the memory that programs can still get.
        cpu_mhz: the mean clock of the cores.
        governor: the governor of the cores.
        unreadable: the reasons, by the name of the value.
    """

    mode: nvpmodel.PowerMode | None
    modes: Mapping[str, int]
    locked: bool | None
    gpu_mhz: tuple[float, float, float] | None
    temperature_c: float | None
    throttling: Mapping[str, int]
    load: float | None
    free_memory_mb: int | None
    cpu_mhz: float | None
    governor: str | None
    unreadable: Mapping[str, str]


@dataclass(frozen=True)
class Held:
    """The outcome of a request for a power mode and locked clocks.

    Attributes:
        locked: whether the clocks are locked; None if the request did not ask for it.
        refused: what the board did not do of the request, and why.
        not_put_back: filled at the end: what could not be put back; empty if all could.
    """

    locked: bool | None
    refused: tuple[str, ...]
    not_put_back: list[str]


class Board:
    """A board whose Python (3.6 or later) runs our program, which goes there once.

    Args:
        transport: the way to the board.
        python: an interpreter there.
        extra: the package that a runtime adds to the program; see remote/jetson/program.py.

    Attributes:
        folder: a temporary folder of this computer for files to send.
    """

    def __init__(self, transport: Transport, python: str, extra: str | None = None):
        self.transport = transport
        self.python = python
        self._folder = tempfile.TemporaryDirectory(prefix="gaitpress-")
        self.folder = Path(self._folder.name)
        self._program = self.folder / "jetson.pyz"
        program.write(self._program, extra)

    def ask(
        self, question: str, request: Mapping[str, Any], timeout_s: float = ANSWER_S, repeatable: bool = True
    ) -> dict[str, Any]:
        """Run one command of the program on the board.

        Args:
            question: "facts", "state", "power", "measure", "cool", or a command that the runtime adds.
            request: the command's input.
            timeout_s: how long the command may take.
            repeatable: whether it may run again after a lost link.

        Raises:
            DeviceError: the board's Python cannot run it.
            TimedOut, LinkLost: see Transport.
        """
        line = json.dumps(request).encode() + b"\n"
        done = self.transport.run(self._argv(question), stdin=line, timeout_s=timeout_s, repeatable=repeatable)
        return self._answer(done.stdout, done.code, done.stderr)

    def state(self) -> State:
        """The present state of the board."""
        return read_state(self.ask("state", {}))

    @contextlib.contextmanager
    def held(self, mode: int | None, lock: bool) -> Iterator[Held]:
        """Set a power mode by its id, lock the clocks, and restore the former state at the end, however it comes about."""
        if mode is None and not lock:
            yield Held(None, (), [])
            return
        holder = self.transport.start(self._argv("hold"))
        try:
            request = {"mode": mode, "lock": lock, "journal": f"{self.transport.home}/power-to-put-back.json"}
            holder.stdin.write(json.dumps(request).encode() + b"\n")
            holder.stdin.flush()
            answer = self._heard(holder)
            outcome = Held(answer["locked"], tuple(answer["refused"]), list(answer.get("former", {}).get("faults", ())))
            try:
                yield outcome
            finally:
                holder.stdin.close()
                outcome.not_put_back.extend(self._heard(holder)["faults"] if answer.get("former") else ())
                for fault in outcome.not_put_back:
                    print(f"{self.transport.name}: could not be put back: {fault}", file=sys.stderr)
        finally:
            holder.kill()

    def start(self, question: str, request: Mapping[str, Any]) -> Process:
        """Start a command of the program that goes on reading and answering."""
        process = self.transport.start(self._argv(question))
        # A program that has ended says why on its output.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(request).encode() + b"\n")
        return process

    def _argv(self, question: str) -> list[str]:
        return [self.python, self.transport.place(self._program), question]

    def _heard(self, process: Process) -> dict[str, Any]:
        if (answer := next_answer(process.stdout)) is not None:
            return answer
        done = process.wait()
        return self._answer(b"", done.code, done.stderr)

    def _answer(self, output: bytes, code: int, stderr: bytes) -> dict[str, Any]:
        if (answer := answer_in(output)) is None:
            lines = stderr.decode(errors="replace").strip().splitlines()
            last = lines[-1] if lines else "it said nothing"
            if code == -signal.SIGKILL:
                raise killed_there(self.transport, "our program on the board")
            raise DeviceError(f"{self.transport.name}: {self.python} ended with status {code}: {last}")
        return answer


def read_state(texts: Mapping[str, Any]) -> State:
    """The state of a board from the texts of its command "state"."""
    unreadable = {}
    modes = nvpmodel.parse_config(texts["mode_config"])
    mode = nvpmodel.parse_query(texts["mode_query"]) or nvpmodel.parse_status(texts["mode_status"], modes)
    if mode is None:
        faults = nvpmodel.errors(texts["mode_query"])
        unreadable["power_mode"] = faults[0] if faults else "neither nvpmodel nor its status file tells"
    hz = clocks.parse(texts["clocks"]).hz("GPU") or texts["gpu_hz"]
    if hz is None:
        unreadable["gpu_mhz"] = "neither jetson_clocks (which needs sudo without a password) nor sysfs tells"
    degrees = texts["temperatures_c"]
    if not degrees:
        unreadable["temperature_c"] = "no sensor of processor or GPU under /sys/class/thermal"
    load = re.match(r"\d+(?:\.\d+)?", texts["loadavg"])
    memory = re.search(r"^MemAvailable:\s+(\d+) kB", texts["meminfo"], re.MULTILINE)
    frequencies = [khz for khz in texts["cpu_khz"] if khz]
    for key, value in (
        ("load", load),
        ("free_memory_mb", memory),
        ("cpu_mhz", frequencies),
        ("governor", texts["governors"]),
    ):
        if not value:
            unreadable[key] = "absent from /proc or /sys"
    return State(
        mode=mode,
        modes=modes,
        locked=None if hz is None else hz[0] == hz[1] == hz[2],
        gpu_mhz=None if hz is None else (hz[0] / 1e6, hz[1] / 1e6, hz[2] / 1e6),
        temperature_c=max(degrees.values()) if degrees else None,
        throttling=texts["throttling"],
        load=float(load[0]) if load else None,
        free_memory_mb=int(memory[1]) // 1024 if memory else None,
        cpu_mhz=round(sum(frequencies) / len(frequencies) / 1000, 1) if frequencies else None,
        governor=", ".join(texts["governors"]) or None,
        unreadable=unreadable,
    )


def describe(texts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a board from the texts of its command "facts"; no values that change, such as clocks."""
    l4t, (gpu, capability) = release.l4t(texts["release"]), release.gpu(texts["compatible"])
    facts = {
        "arch": texts["arch"],
        "board": texts["model"] or None,
        "compute_capability": capability,
        "cores": texts["cores"],
        "cpu": _cpu(texts["cpuinfo"]) or texts["arch"],
        "gpu": gpu,
        "jetpack": release.jetpack(l4t),
        "l4t": l4t,
        "os": " ".join(re.findall(r'^(?:ID|VERSION_ID)="?([^"\n]*)', texts["os_release"], re.MULTILINE)),
        "python": texts["python"],
    }
    return {**facts, "simulated": True} if texts["simulated"] else facts


def _cpu(cpuinfo: str) -> str | None:
    first: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            first.setdefault(key.strip(), value.strip())
    part = CORES.get(f"{first.get('CPU implementer')} {first.get('CPU part')}")
    return part or first.get("model name")
