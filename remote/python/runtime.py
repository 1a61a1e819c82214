"""A runtime that is a package of the device's Python and runs on its processor, for any such package."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from remote import benchmark, engines
from remote.benchmark import BenchmarkSettings, Load, Timing
from remote.connection import Agent
from remote.digest import sha256
from remote.disk import refuse_if_full
from remote.errors import DeviceError, EngineFailed
from remote.facts import Remembered
from remote.jetson import power, program
from remote.python.imports import try_out
from remote.python.interpreter import interpreter
from remote.transport import Transport

AGENT, CONDITIONS, SERVER = (Path(__file__).with_name(name) for name in ("agent.py", "conditions.py", "server.py"))
REASON_LENGTH = 300
PROTOCOL = {
    "timed": "one call of the runtime after the other, from input array to output array",
    "transfers": "none: inputs and outputs are in the processor's own memory, so latency is compute time",
}
MAX_PROCESSES = 8  # one process here prepares no more inputs than these answer, and each holds the engine in memory
# An SSH server runs ten commands of a login at once (MaxSessions): these, the link's guard, the lock, a file on its way, and
# one that ends another.
MAX_PROCESSES_FAR = 6


@dataclass(frozen=True)
class Package:
    """A package of Python that runs networks.

    Attributes:
        runtime: the runtime's name.
        title: its name in print.
        part: the file with its own code, which the agent runs on the device; remote/python/agent.py says what is in it.
        needs: the packages that the device's Python must have, by the names that pip and ``import`` know; the first is
            numpy.
        environment: the folder of our own environment on a device, if its Python lacks them.
        engine: the name of an engine's file.
        flags: what a build does with a network; after a change of them engines are built again.
    """

    runtime: str
    title: str
    part: Path
    needs: Sequence[str]
    environment: str
    engine: str = "engine.onnx"
    flags: Mapping[str, Any] = field(default_factory=dict)


class PythonRuntime:
    """Builds and runs engines through the agent, so that our own work neither disturbs nor counts as the network's."""

    def __init__(self, link: Transport, options: Mapping[str, Any], package: Package):
        self.link = link
        self.options = options
        self.package = package
        self._facts = Remembered(link, self._look)

    @cached_property
    def agent(self) -> Agent:
        """Our scripts there, with the device's Python; the first use installs its packages."""
        return Agent(self.link, interpreter(self.link, self.options, self.package.needs, self.package.environment))

    def facts(self) -> dict[str, Any]:
        """See Runtime."""
        return self._facts()

    def build(
        self,
        onnx: Path,
        out: Path,
        precision: str,
        threads: int,
        shape: Sequence[int] | None = None,
        max_batch: int = 1,
    ) -> dict[str, Any]:
        """See Runtime. Free axes stay free, whatever the ``shape`` and the largest batch."""
        engine = out / self.package.engine
        flags = {**self.package.flags, "precision": precision, "threads": threads}
        described = engines.described(onnx, self.package.engine, self.facts(), flags)
        described |= {"key": engines.key(described), "seconds": None, "sha256": None, "bytes": None}
        if precision == "best":
            # The report names the fastest of the precisions that were measured.
            described |= {"status": "skipped", "reason": f"{self.package.title} has no mix of precisions of its own"}
            engines.write(out, described)
            return described
        there = f"{self.link.scratch}/{self.package.engine}"
        arguments = ["build", "--onnx", self.link.place(onnx), "--engine", there]
        arguments += ["--precision", precision, "--threads", str(threads)]
        try:
            answer = self._call(arguments)
            if answer["skipped"]:
                described |= {"status": "skipped", "reason": answer["skipped"]}
            else:
                self.link.fetch(there, engine, keep=True)
                described |= {"status": "ok", "reason": None, "seconds": answer["seconds"]}
                described |= {"sha256": sha256(engine), "bytes": engine.stat().st_size}
        except EngineFailed as error:
            reason = _brief(error, self.link.place(onnx), onnx.name)
            refuse_if_full(self.link, onnx.stat().st_size, reason)
            described |= {"status": "failed", "reason": reason}
        engines.write(out, described)
        return described

    def check(self, engine: Path, onnx: Path | None = None) -> dict[str, Any]:
        """See Runtime."""
        return engines.check(engine, self.facts, onnx)

    def run(self, engine: Path, inputs: Iterable[np.ndarray], threads: int) -> list[np.ndarray]:
        """See Runtime. Processes share the inputs: here as many as ``threads``, for a job has a share of this machine; on
        another, which runs nothing else, as many as there are cores for with ``threads`` each.
        """
        cores = self.check(engine)["facts"]["cores"]
        there = self.link.place(engine / self.package.engine)
        if self.link.far:
            processes = min(MAX_PROCESSES_FAR, max(1, cores // threads))
        else:
            processes, threads = min(MAX_PROCESSES, threads), 1
        try:
            words = ["run", "--engine", there, "--threads", str(threads), *self._part()]
            return self.agent.stream(AGENT, words, threads, inputs, processes)
        except EngineFailed as error:
            raise EngineFailed(_brief(error, there, self.package.engine)) from None

    def times(
        self, engine_folders: Sequence[Path], example: np.ndarray, settings: BenchmarkSettings
    ) -> Generator[Timing | EngineFailed, None, None]:
        """See Runtime."""
        cores = self.facts()["cores"]
        for engine in engine_folders:
            self.check(engine)
        remaining = [self.link.place(engine / self.package.engine) for engine in engine_folders]
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "example.npy"
            np.save(file, np.ascontiguousarray(example[: settings.batch], np.float32))
            words = ["times", "--example", self.link.place(file), "--threads", str(settings.threads), *self._part()]
            words += ["--warmup-s", str(settings.warmup_s), "--duration-s", str(settings.duration_s)]
            words += ["--queries", str(settings.min_queries), "--conditions", self.link.place(CONDITIONS), "--engines"]
            while remaining:
                done = 0
                try:
                    answers = self.agent.answers(AGENT, [*words, *remaining], settings.threads)
                    for there, answer in zip(remaining, answers, strict=True):
                        done += 1
                        if "error" in answer:
                            yield EngineFailed(_brief(answer["error"], there, self.package.engine))
                            continue
                        states = answer["before"], answer["after"]
                        yield benchmark.timing(
                            [answer], *states, benchmark.TIMES_ALONE, benchmark.TIMES_ALONE, [], settings, PROTOCOL, cores
                        )
                except EngineFailed as error:
                    if done < len(remaining):  # this engine ended the process; after the last answer nothing is lost
                        yield EngineFailed(_brief(error, remaining[done], self.package.engine))
                        done += 1
                remaining = remaining[done:]

    def benchmark(self, engine: Path, example: np.ndarray, settings: BenchmarkSettings) -> Timing:
        """See Runtime."""
        cores = self.check(engine)["facts"]["cores"]
        queries = math.ceil(settings.min_queries / settings.repeats)
        values = np.ascontiguousarray(example, np.float32)
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "example.npy"
            np.save(file, values[: settings.batch])
            there = self.link.place(engine / self.package.engine)
            common = ["--engine", there, "--example", self.link.place(file), "--threads", str(settings.threads)]
            common += ["--duration-s", str(settings.duration_s)]
            timed = ["benchmark", *common, "--warmup-s", str(settings.warmup_s), "--queries", str(queries)]
            try:
                before = self.agent.call(CONDITIONS, repeatable=True)
                repeats: list[dict[str, Any]] = []
                while benchmark.wanted(repeats, settings.repeats):
                    repeats.append(self._call(timed, settings.threads))
                after = self.agent.call(CONDITIONS)
                energy = self._energy(common, settings, Path(scratch))
                nodes = self._call(["profile", *common], settings.threads)
            except EngineFailed as error:
                raise EngineFailed(_brief(error, there, self.package.engine)) from None
            sweep = self._sweep(there, values, settings, Path(scratch)) if settings.sweep else []
        return benchmark.timing(repeats, before, after, energy, nodes, sweep, settings, PROTOCOL, cores)

    def serve(self, engine: Path, example: np.ndarray, load: Load) -> dict[str, Any]:
        """How many people the device serves at once: see remote/python/server.py, which says what the answer holds.

        Args:
            engine: its directory.
            example: inputs along the first axis, as many as a batch holds.
            load: how they ask, and how it answers.

        Raises:
            StaleEngine: as for check.
            EngineFailed: the engine refuses the input or breaks.
        """
        self.check(engine)
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "example.npy"
            np.save(file, np.ascontiguousarray(example[: load.batch], np.float32))
            there = self.link.place(engine / self.package.engine)
            words = ["--agent", self.link.place(AGENT), "--engine", there, "--example", self.link.place(file), *self._part()]
            words += [word for key, value in asdict(load).items() for word in (f"--{key.replace('_', '-')}", str(value))]
            try:
                return self.agent.call(SERVER, words, load.threads)
            except EngineFailed as error:
                raise EngineFailed(_brief(error, there, self.package.engine)) from None

    def _energy(self, common: Sequence[str], settings: BenchmarkSettings, scratch: Path) -> dict[str, Any]:
        """The energy of an inference by the processor's counters or, on a board, its power rails; or a reason."""
        file = scratch / "jetson.pyz"
        program.write(file)
        arguments = ["energy", *common, "--sensors", self.link.place(file)]
        answer = self._call(arguments, settings.threads)
        if sampled := answer.get("power"):
            begin, end = sampled["began"], sampled["ended"]
            return power.energy(sampled, begin, end, answer["queries"], answer["seconds"], settings.batch)
        if "reason" not in answer:
            answer |= {key: answer[key] / settings.batch for key in ("gross_mj", "idle_subtracted_mj")}
        return answer

    def _sweep(self, engine: str, values: np.ndarray, settings: BenchmarkSettings, scratch: Path) -> list[dict[str, Any]]:
        """The results of the batches of ``settings.sweep``, which share a process as long as all goes well."""
        file = scratch / "sweep.npy"
        np.save(file, values[: max(settings.sweep)])
        common = ["sweep", "--engine", engine, "--example", self.link.place(file), "--threads", str(settings.threads)]
        common += ["--duration-s", str(settings.duration_s)]

        def answers(batches: Sequence[int]) -> list[dict[str, Any]]:
            try:
                arguments = [*common, "--batches", *map(str, batches)]
                return list(self._call(arguments, settings.threads)["batches"])
            except EngineFailed as error:
                if len(batches) == 1:
                    return [{"error": error}]
                # One batch ended the process: run each by itself, so that the others have results.
                return [answer for batch in batches for answer in answers([batch])]

        return [
            benchmark.not_swept(batch, _brief(answer["error"], engine, self.package.engine))
            if "error" in answer
            else benchmark.swept(batch, answer["samples_ms"])
            for batch, answer in zip(settings.sweep, answers(settings.sweep), strict=True)
        ]

    def _look(self) -> dict[str, Any]:
        try:
            return {**self._call(["facts"], repeatable=True), "runtime": self.package.runtime}
        except EngineFailed as error:
            try_out(self.link, self.agent.python, self.package.needs)
            python = f"{self.agent.python} (option python)" if "python" in self.options else self.package.needs[-1]
            raise DeviceError(f"{self.link.name}: {python} cannot be used: {error}") from None

    def _call(self, arguments: Sequence[str], threads: int = 1, *, repeatable: bool = False) -> dict[str, Any]:
        """The agent's answer."""
        return self.agent.call(AGENT, [*arguments, *self._part()], threads, repeatable=repeatable)

    def _part(self) -> list[str]:
        return ["--part", self.link.place(self.package.part), "--options", json.dumps(dict(self.options))]


def _brief(error: object, path: str, name: str) -> str:
    """A runtime's message in one short line, with a file's name in place of its path on the device."""
    text = " ".join(str(error).replace(path, name).split())
    return text if len(text) <= REASON_LENGTH else f"{text[:REASON_LENGTH]} ..."
