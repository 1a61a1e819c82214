"""A Jetson, asked through a transport: what it is, and how it is."""

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

from remote.connection import killed_there
from remote.errors import DeviceError
from remote.jetson import clocks, nvpmodel, program, release
from remote.transport import Process, Transport

ANSWER_S = 120.0  # for short questions; a board under load is slow
# Processor cores by implementer and part in /proc/cpuinfo.
CORES = {"0x41 0xd07": "Cortex-A57", "0x41 0xd42": "Cortex-A78AE", "0x4e 0x004": "Carmel", "0x41 0xd83": "Neoverse-V3AE"}


@dataclass(frozen=True)
class State:
    """The state of a board; None where it does not tell, then with the reason under ``unreadable``.

    Attributes:
        mode: its power mode.
        modes: ids of all its power modes by name.
        locked: the GPU runs at one clock only.
        gpu_mhz: the GPU's lowest, highest and present clock.
        temperature_c: of the hottest sensor of processor and GPU.
        throttling: what slows it down now, with how much.
        load: of the last minute.
        free_memory_mb: memory that can be had.
        cpu_mhz: mean clock of the cores.
        governor: of the cores.
        unreadable: reasons.
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
    """What became of a power mode and locked clocks that were asked for.

    Attributes:
        locked: the clocks are locked; None if that was not asked for.
        refused: what was asked for and not reached, and why.
        not_put_back: filled at the end: what could not be put back; empty if all could.
    """

    locked: bool | None
    refused: tuple[str, ...]
    not_put_back: list[str]


class Board:
    """A board whose Python (3.6 or later) runs our program, which is sent to it once.

    Args:
        transport: the way to the board.
        python: an interpreter there.
        more: what a runtime adds to the program; see remote/jetson/program.py.

    Attributes:
        folder: a temporary folder of this computer for what is to be sent.
    """

    def __init__(self, transport: Transport, python: str, more: str | None = None):
        self.transport = transport
        self.python = python
        self._folder = tempfile.TemporaryDirectory(prefix="gaitpress-")
        self.folder = Path(self._folder.name)
        self._program = self.folder / "jetson.pyz"
        program.write(self._program, more)

    def ask(
        self, question: str, request: Mapping[str, Any], timeout_s: float = ANSWER_S, again: bool = True
    ) -> dict[str, Any]:
        """Run one command of the program on the board.

        Args:
            question: "facts", "state", "power", "measure", "cool", or one that the runtime adds.
            request: what it takes.
            timeout_s: how long it may take.
            again: it may be asked again after a lost link.

        Raises:
            DeviceError: the board's Python cannot run it.
            TimedOut, LinkLost: see Transport.
        """
        words = json.dumps(request).encode() + b"\n"
        done = self.transport.run(self._argv(question), stdin=words, timeout_s=timeout_s, repeatable=again)
        return self._answer(done.stdout, done.code, done.stderr)

    def state(self) -> State:
        """How the board is now."""
        return read_state(self.ask("state", {}))

    @contextlib.contextmanager
    def held(self, mode: int | None, lock: bool) -> Iterator[Held]:
        """Set a power mode by its id, lock the clocks, and put back what was at the end, however it comes about."""
        if mode is None and not lock:
            yield Held(None, (), [])
            return
        holder = self.transport.start(self._argv("hold"))
        try:
            request = {"mode": mode, "lock": lock, "journal": f"{self.transport.home}/power-to-put-back.json"}
            holder.stdin.write(json.dumps(request).encode() + b"\n")
            holder.stdin.flush()
            answer = self._heard(holder)
            held = Held(answer["locked"], tuple(answer["refused"]), list(answer.get("former", {}).get("faults", ())))
            try:
                yield held
            finally:
                holder.stdin.close()
                held.not_put_back.extend(self._heard(holder)["faults"] if answer.get("former") else ())
                for fault in held.not_put_back:
                    print(f"{self.transport.name}: could not be put back: {fault}", file=sys.stderr)
        finally:
            holder.kill()

    def start(self, question: str, request: Mapping[str, Any]) -> Process:
        """Start a command of the program that goes on to read and to answer."""
        process = self.transport.start(self._argv(question))
        # A program that ended already says why on its output.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(request).encode() + b"\n")
        return process

    def _argv(self, question: str) -> list[str]:
        return [self.python, self.transport.place(self._program), question]

    def _heard(self, process: Process) -> dict[str, Any]:
        line = process.stdout.readline()
        if line:
            return self._answer(line, 0, b"")
        done = process.wait()
        return self._answer(b"", done.code, done.stderr)

    def _answer(self, said: bytes, code: int, errors: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(said)
        except ValueError:
            words = errors.decode(errors="replace").strip().splitlines()
            last = words[-1] if words else "it said nothing"
            if code == -signal.SIGKILL:
                raise killed_there(self.transport, "our program on the board") from None
            raise DeviceError(f"{self.transport.name}: {self.python} ended with status {code}: {last}") from None
        return answer


def read_state(told: Mapping[str, Any]) -> State:
    """The texts that the board's program gives, understood."""
    unreadable = {}
    modes = nvpmodel.parse_config(told["mode_config"])
    mode = nvpmodel.parse_query(told["mode_query"]) or nvpmodel.parse_status(told["mode_status"], modes)
    if mode is None:
        unreadable["power_mode"] = (nvpmodel.errors(told["mode_query"]) or ["neither nvpmodel nor its status file tells"])[0]
    hz = clocks.parse(told["clocks"]).hz("GPU") or told["gpu_hz"]
    if hz is None:
        unreadable["gpu_mhz"] = "neither jetson_clocks (which needs sudo without a password) nor sysfs tells"
    degrees = told["temperatures_c"]
    if not degrees:
        unreadable["temperature_c"] = "no sensor of processor or GPU under /sys/class/thermal"
    load = re.match(r"\d+(?:\.\d+)?", told["loadavg"])
    memory = re.search(r"^MemAvailable:\s+(\d+) kB", told["meminfo"], re.MULTILINE)
    frequencies = [khz for khz in told["cpu_khz"] if khz]
    for key, value in (
        ("load", load),
        ("free_memory_mb", memory),
        ("cpu_mhz", frequencies),
        ("governor", told["governors"]),
    ):
        if not value:
            unreadable[key] = "absent from /proc or /sys"
    return State(
        mode=mode,
        modes=modes,
        locked=None if hz is None else hz[0] == hz[1] == hz[2],
        gpu_mhz=None if hz is None else (hz[0] / 1e6, hz[1] / 1e6, hz[2] / 1e6),
        temperature_c=max(degrees.values()) if degrees else None,
        throttling=told["throttling"],
        load=float(load[0]) if load else None,
        free_memory_mb=int(memory[1]) // 1024 if memory else None,
        cpu_mhz=round(sum(frequencies) / len(frequencies) / 1000, 1) if frequencies else None,
        governor=", ".join(told["governors"]) or None,
        unreadable=unreadable,
    )


def describe(told: Mapping[str, Any]) -> dict[str, Any]:
    """What a board is, of the texts that the command "facts" gives; nothing that moves."""
    l4t, (gpu, capability) = release.l4t(told["release"]), release.gpu(told["compatible"])
    known = {
        "arch": told["arch"],
        "board": told["model"] or None,
        "compute_capability": capability,
        "cores": told["cores"],
        "cpu": _cpu(told["cpuinfo"]) or told["arch"],
        "gpu": gpu,
        "jetpack": release.jetpack(l4t),
        "l4t": l4t,
        "os": " ".join(re.findall(r'^(?:ID|VERSION_ID)="?([^"\n]*)', told["os_release"], re.MULTILINE)),
        "python": told["python"],
    }
    return {**known, "simulated": True} if told["simulated"] else known


def _cpu(cpuinfo: str) -> str | None:
    first: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            first.setdefault(key.strip(), value.strip())
    part = CORES.get(f"{first.get('CPU implementer')} {first.get('CPU part')}")
    return part or first.get("model name")
