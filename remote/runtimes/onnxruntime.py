"""ONNX Runtime on a processor: an engine is the network with its graph optimised for this very machine."""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from remote import benchmark
from remote.benchmark import BenchmarkSettings, Timing
from remote.connection import Agent
from remote.errors import DeviceError, EngineFailed, StaleEngine
from remote.facts import differences
from remote.interpreter import interpreter
from remote.transport import Transport

ENGINE = "engine.onnx"
REASON_LENGTH = 300


class OnnxRuntime:
    """Builds and runs engines through the agent, so that no work of ours disturbs or is taken for the network's."""

    def __init__(self, link: Transport, options: Mapping[str, Any]):
        self.link = link
        self.options = options
        self._known: dict[str, Any] | None = None

    @cached_property
    def agent(self) -> Agent:
        """Our scripts there, with the device's Python; installed when it is first needed."""
        return Agent(self.link, interpreter(self.link, self.options))

    def facts(self) -> dict[str, Any]:
        """See Runtime. A device is looked at once a connection: it cannot change without breaking it."""
        if self._known is None:
            try:
                self._known = self.agent.call("agent.py", ["facts"], repeatable=True)
            except EngineFailed as error:
                raise DeviceError(f"{self.link.name}: onnxruntime cannot be used: {error}") from None
            self.link.after_reconnecting.append(self._forget)
        return self._known

    def build(self, onnx: Path, out: Path, precision: str, threads: int) -> dict[str, Any]:
        """See Runtime.

        The memory layout is part of the optimisation, and quantised networks keep their integer kernels: Q/DQ pairs are
        merged into QLinearConv and its like before the graph is saved.
        """
        engine = out / ENGINE
        facts = self.facts()
        parts = {
            "onnx_sha256": sha256(onnx),
            "flags": {"graph_optimization": "all", "precision": precision, "threads": threads},
            "facts": facts,
        }
        described = {"key": _key(parts), **parts, "engine": ENGINE, "onnx_bytes": onnx.stat().st_size}
        described |= {"runtime": facts["runtime"], "version": facts["runtime_version"]}
        there = f"{self.link.scratch}/{ENGINE}"
        arguments = ["build", "--onnx", self.link.place(onnx), "--engine", there, "--threads", str(threads)]
        try:
            answer = self.agent.call("agent.py", arguments)
            self.link.fetch(there, engine, keep=True)
            result = {"status": "ok", "reason": None, "seconds": answer["seconds"]}
            result |= {"sha256": sha256(engine), "bytes": engine.stat().st_size}
        except EngineFailed as error:
            reason = _brief(error, self.link.place(onnx), onnx.name)
            result = {"status": "failed", "reason": reason, "seconds": None, "sha256": None, "bytes": None}
        described |= result
        (out / "build.json").write_text(json.dumps(described, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return described

    def check(self, engine: Path, onnx: Path | None = None) -> dict[str, Any]:
        """See Runtime. Loading an engine runs what is in it, so only one of our own, unchanged, is let through."""
        try:
            described = json.loads((engine / "build.json").read_text(encoding="utf-8"))
            parts = {part: described[part] for part in ("onnx_sha256", "flags", "facts")}
        except FileNotFoundError:
            raise StaleEngine(f"{engine}: there is no build.json; this engine was not built here") from None
        except (ValueError, KeyError, TypeError) as error:
            raise StaleEngine(f"{engine}/build.json is damaged ({error!r})") from None
        if described.get("status") != "ok":
            raise EngineFailed(described.get("reason") or "the build failed")
        if described.get("key") != _key(parts):
            raise StaleEngine(f"{engine}/build.json was changed after the build")
        if changes := differences(parts["facts"], self.facts()):
            raise StaleEngine(f"{engine} was built for something else ({changes})")
        if onnx is not None and sha256(onnx) != parts["onnx_sha256"]:
            raise StaleEngine(f"{engine} was built of another network than {onnx}")
        file = engine / ENGINE
        if not file.exists() or sha256(file) != described.get("sha256"):
            raise StaleEngine(f"{file} is not the file that was built")
        return described

    def run(self, engine: Path, inputs: Iterable[np.ndarray], threads: int) -> list[np.ndarray]:
        """See Runtime."""
        self.check(engine)
        there = self.link.place(engine / ENGINE)
        try:
            return self.agent.stream(["run", "--engine", there, "--threads", str(threads)], threads, inputs)
        except EngineFailed as error:
            raise EngineFailed(_brief(error, there, ENGINE)) from None

    def benchmark(self, engine: Path, example: np.ndarray, settings: BenchmarkSettings) -> Timing:
        """See Runtime."""
        self.check(engine)
        queries = math.ceil(settings.min_queries / settings.repeats)
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "example.npy"
            np.save(file, np.ascontiguousarray(example, np.float32))
            there = self.link.place(engine / ENGINE)
            common = ["--engine", there, "--example", self.link.place(file), "--threads", str(settings.threads)]
            common += ["--duration-s", str(settings.duration_s)]
            timed = ["benchmark", *common, "--warmup-s", str(settings.warmup_s), "--queries", str(queries)]
            try:
                before = self.agent.call("conditions.py", repeatable=True)
                repeats = [self.agent.call("agent.py", timed, settings.threads) for _ in range(settings.repeats)]
                after = self.agent.call("conditions.py")
                energy = self.agent.call("agent.py", ["energy", *common], settings.threads)
            except EngineFailed as error:
                raise EngineFailed(_brief(error, there, ENGINE)) from None
        if "reason" not in energy:
            energy = {**energy, "gross_mj": energy["gross_mj"] / settings.batch}
            energy["idle_subtracted_mj"] /= settings.batch
        protocol = {
            "timed": "one call of the runtime after the other, from input array to output array",
            "transfers": "none: inputs and outputs are in the processor's own memory, so latency is compute time",
        }
        return benchmark.timing(repeats, before, after, energy, settings, protocol)

    def _forget(self) -> None:
        self._known = None


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _key(parts: dict[str, Any]) -> str:
    """What an engine depends on, in one word: the network, the flags, the processor and the runtime."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _brief(error: Exception, path: str, name: str) -> str:
    """A runtime's message in one line of bearable length, with a file's name in place of its path on the device."""
    text = " ".join(str(error).replace(path, name).split())
    return text if len(text) <= REASON_LENGTH else f"{text[:REASON_LENGTH]} ..."
