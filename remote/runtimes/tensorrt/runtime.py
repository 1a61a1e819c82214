"""TensorRT on a Jetson, whose own trtexec builds and measures engines.

An engine belongs to one GPU model, one TensorRT and one L4T, so the device that runs it always builds it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from remote import engines
from remote.benchmark import TIMES_ALONE, BenchmarkSettings, Timing, not_swept, swept
from remote.digest import sha256
from remote.disk import refuse_if_full
from remote.errors import DeviceError, EngineFailed, TimedOut
from remote.facts import Remembered
from remote.jetson import power
from remote.jetson.board import Board, Held
from remote.jetson.onboard.observe import ENERGY_S, IDLE_S, POWER_HZ
from remote.runtimes.tensorrt import measurement
from remote.runtimes.tensorrt.board import ONBOARD, infer, look
from remote.runtimes.tensorrt.plan import Impossible, plan
from remote.runtimes.tensorrt.trtexec import command, exports, log, network, preflight
from remote.runtimes.tensorrt.trtexec.command import RunOptions
from remote.transport import Transport

ENGINE = "engine.plan"
LONGEST_S = 7200.0  # a build takes minutes, on a Nano up to half an hour
COOL_S = 180.0  # how long a hot board may take to cool down
SWEPT_QUERIES = 5  # of each other batch, at least
PROFILED = 10  # queries whose layers are timed, at least


class TensorRT:
    """Builds and runs engines with the trtexec of a board.

    Args:
        transport: the way to the board.
        options: the device's options: ``power_mode`` (a name), ``lock_clocks``, ``cuda_graph``, ``workspace_mib``,
            ``dla_core``, ``trtexec`` (its path) and ``python`` (an interpreter of the board).
        longest_s: how long a process of trtexec may take, in seconds.
    """

    def __init__(self, transport: Transport, options: Mapping[str, Any], longest_s: float = LONGEST_S):
        self.transport = transport
        self.options = options
        self.longest_s = longest_s
        self.board = Board(transport, options.get("python") or transport.python, ONBOARD)
        self._facts = Remembered(transport, lambda: look(self.board, options.get("trtexec")))

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
        """See Runtime. ``threads`` changes nothing: trtexec takes what it needs."""
        facts = self.facts()
        described = engines.described(onnx, ENGINE, facts, {"precision": precision})
        empty = {"seconds": None, "sha256": None, "bytes": None}
        try:
            parsed = network.read(onnx)
            try:
                options = plan(onnx, parsed, facts, precision, self.options, shape, max_batch)
            except Impossible as impossible:
                if impossible.status == "failed":
                    described["preflight"] = self._try(onnx)
                raise
            described["preflight"] = self._try(onnx)
            described["flags"] |= self._flags(facts, options)
            described["inputs"] = {name: list(axes) for name, axes in parsed.inputs.items()}
            described["key"] = engines.key(described)
            described |= {"status": "ok", "reason": None, **self._built(onnx, out, described["key"], facts, options)}
        except Impossible as impossible:
            described |= {"status": impossible.status, "reason": str(impossible), **empty}
        except ValueError as error:
            described |= {"status": "failed", "reason": str(error), **empty}
        except EngineFailed as error:
            described |= {"status": "failed", "reason": str(error), **empty}
        described.setdefault("key", engines.key(described))
        engines.write(out, described)
        return described

    def check(self, engine: Path, onnx: Path | None = None) -> dict[str, Any]:
        """See Runtime."""
        return engines.check(engine, self.facts, onnx)

    def run(self, engine: Path, inputs: Iterable[np.ndarray], threads: int) -> list[np.ndarray]:
        """See Runtime. TensorRT's Python bindings run it where the board has them, else a process of trtexec an input."""
        described = self.check(engine)
        version = _version(described["facts"])
        name, axes = next(iter(described["inputs"].items()))
        placed = self.transport.place(engine / ENGINE)
        once = RunOptions(transfers=True, inputs={name: "{input}"}, outputs="{output}", dla_core=self._dla_core)
        words = command.run(described["facts"]["trtexec"], version, placed, once)
        request = {
            "engine": placed,
            "version": ".".join(map(str, version)),
            "trtexec": [*words, f"--shapes={name}:{{shape}}"] if None in axes else words,
            "scratch": self.transport.scratch,
            "timeout_s": self.longest_s,
        }
        return infer(self.board, request, inputs)

    def benchmark(self, engine: Path, example: np.ndarray, settings: BenchmarkSettings) -> Timing:
        """See Runtime.

        First it sets power mode and clocks as the device's options say, and the board cools down. Then it runs processes of
        trtexec one after the other: the repeats, one that copies inputs and outputs, one for the energy, one that times
        layers, and one for each other batch.
        """
        engine_runs = _Measured(self, engine)
        options = self._options(settings)
        headline = engine_runs.with_example(example[: settings.batch], options)
        with self._held() as outcome:
            cooled = self._cooled()
            before = self.board.state()
            runs = [engine_runs.run(headline)[0] for _ in range(settings.repeats)]
            after = self.board.state()
            transferred = engine_runs.run(dataclasses.replace(headline, transfers=True))[0]
            energy = engine_runs.energy(headline, settings.batch)
            # A graph is one launch, whose layers nobody times.
            nodes = engine_runs.nodes(dataclasses.replace(headline, duration_s=1, queries=PROFILED, graph=False))
            brief = dataclasses.replace(options, duration_s=1, queries=SWEPT_QUERIES)
            sweep = [
                engine_runs.swept(batch, partial(engine_runs.with_example, example[:batch], brief))
                for batch in settings.sweep
            ]
        version = _version(engine_runs.facts)
        return measurement.timing(
            runs, transferred, (before, after), cooled, outcome, energy, nodes, sweep, settings, version, self._graph
        )

    def times(
        self, engine_folders: Sequence[Path], example: np.ndarray, settings: BenchmarkSettings
    ) -> Generator[Timing | EngineFailed, None, None]:
        """See Runtime. Each is a process of trtexec; power mode and clocks are set once for all."""
        options = self._options(settings)
        with self._held() as outcome:
            for engine in engine_folders:
                try:
                    engine_runs = _Measured(self, engine)
                    headline = engine_runs.with_example(example[: settings.batch], options)
                    cooled = self._cooled()
                    before = self.board.state()
                    run, _ = engine_runs.run(headline)
                except EngineFailed as error:
                    yield error
                    continue
                states, version = (before, self.board.state()), _version(engine_runs.facts)
                yield measurement.timing(
                    [run], None, states, cooled, outcome, TIMES_ALONE, TIMES_ALONE, [], settings, version, self._graph
                )

    def _options(self, settings: BenchmarkSettings) -> RunOptions:
        """The options of one repeat, without an input."""
        return RunOptions(
            warmup_ms=math.ceil(1000 * settings.warmup_s),
            duration_s=math.ceil(settings.duration_s),
            queries=math.ceil(settings.min_queries / settings.repeats),
            dla_core=self._dla_core,
            graph=self._graph,
        )

    def _held(self) -> AbstractContextManager[Held]:
        """Power mode and clocks as the device's options say; the former ones are put back."""
        return self.board.held(self._mode(), bool(self.options.get("lock_clocks")))

    def _cooled(self) -> dict[str, Any]:
        """The board's answer after it waited to cool down."""
        return self.board.ask("cool", {"below_c": measurement.HOT_C, "wait_s": COOL_S}, timeout_s=COOL_S + 60)

    def _try(self, onnx: Path) -> str:
        """Ask TensorRT's parser on this computer, if it is here; return its answer in words.

        Raises:
            EngineFailed: the parser refuses the network.
        """
        if (version := preflight.available()) is None:
            return "not asked: TensorRT's parser is not installed here"
        try:
            refusal = preflight.ask(onnx)["refusal"]
        except preflight.NoAnswer as error:
            _show(f"{onnx}: {error}; the board is asked")
            return f"not asked: {error}"
        if refusal:
            raise EngineFailed(f"TensorRT's parser refuses the network: {refusal}")
        return f"accepted by the parser of TensorRT for RTX {version}"

    def _flags(self, facts: Mapping[str, Any], options: command.BuildOptions) -> dict[str, Any]:
        flags: dict[str, Any] = {"arguments": command.build_flags(_version(facts), options)}
        if options.calibration:
            flags["calibration_sha256"] = sha256(Path(options.calibration))
        return flags

    def _built(
        self, onnx: Path, out: Path, key: str, facts: Mapping[str, Any], options: command.BuildOptions
    ) -> dict[str, Any]:
        """Build the engine, or take an earlier one from the board, and fetch it."""
        kept = f"{self.transport.home}/engines/{key}.plan"
        details = self.board.ask("cached", {"path": kept})
        if not details:
            details = self._build(onnx, kept, facts, options)
        self.transport.fetch(kept, out / ENGINE, keep=True)
        if sha256(out / ENGINE) != details["sha256"]:
            raise DeviceError(f"{self.transport.name}: {kept} changed while it was fetched")
        return details

    def _build(self, onnx: Path, kept: str, facts: Mapping[str, Any], options: command.BuildOptions) -> dict[str, Any]:
        version, partial = _version(facts), f"{kept}.partial"
        platform = hashlib.sha256("|".join(str(facts[key]) for key in ("board", "gpu", "l4t", "runtime_version")).encode())
        options = dataclasses.replace(
            options,
            calibration=self._placed_calibration(Path(options.calibration), version) if options.calibration else None,
            timing_cache=f"{self.transport.home}/engines/timing-{platform.hexdigest()[:16]}.cache",
        )
        words = command.build(facts["trtexec"], version, self.transport.place(onnx), partial, options)
        self.transport.run(["mkdir", "-p", f"{self.transport.home}/engines"], repeatable=True)
        try:
            start = time.monotonic()
            done = self.transport.run(words, timeout_s=self.longest_s, on_line=_show)
            took = time.monotonic() - start
            output = log.parse((done.stdout + b"\n" + done.stderr).decode(errors="replace"))
            if reason := measurement.failure(output, done.code):
                refuse_if_full(self.transport, onnx.stat().st_size, reason)
                raise EngineFailed(reason)
            details = {"seconds": output.build_seconds or round(took, 3), "built_on": dict(output.device)}
            known = self.board.ask("keep", {"built": partial, "path": kept, "known": details}, repeatable=False)
        except TimedOut:
            raise EngineFailed(f"trtexec hung: it was ended after {self.longest_s:g} s") from None
        finally:
            self.transport.run(["rm", "-f", partial], repeatable=True)
        if not known:
            reason = "trtexec says that it passed and wrote no engine"
            refuse_if_full(self.transport, onnx.stat().st_size, reason)
            raise EngineFailed(reason)
        return known

    def _placed_calibration(self, cache: Path, version: tuple[int, int, int]) -> str:
        """The path of a calibration cache on the board; TensorRT compares its first line with its own version."""
        _, _, scales = cache.read_text(encoding="utf-8").partition("\n")
        file = self.board.folder / cache.name
        file.write_text(f"TRT-{log.digits(version)}-EntropyCalibration2\n{scales}", encoding="utf-8")
        return self.transport.place(file)

    def placed_values(self, example: np.ndarray) -> str:
        """The path on the board of inputs as trtexec reads them."""
        values = self.board.folder / "example.bin"
        np.ascontiguousarray(example, np.float32).tofile(values)
        return self.transport.place(values)

    def _mode(self) -> int | None:
        """The id of the power mode in the device's options, or None.

        Raises:
            DeviceError: the board has no such mode.
        """
        if not (name := self.options.get("power_mode")):
            return None
        modes = self.board.state().modes
        if name not in modes:
            listed = ", ".join(modes) or "none that /etc/nvpmodel.conf tells"
            raise DeviceError(f"{self.transport.name}: no power mode {name}; there is {listed}")
        return modes[name]

    @property
    def _graph(self) -> bool:
        return bool(self.options.get("cuda_graph"))

    @property
    def _dla_core(self) -> int | None:
        return self.options.get("dla_core")


class _Measured:
    """Runs an engine on the board under observation; ``facts`` are those of the board."""

    def __init__(self, runtime: TensorRT, engine: Path):
        described = runtime.check(engine)
        self.runtime, self.facts, self._inputs = runtime, described["facts"], described["inputs"]
        self.placed = runtime.transport.place(engine / ENGINE)

    def with_example(self, values: np.ndarray, options: RunOptions) -> RunOptions:
        """The options of a run with these inputs.

        Raises:
            EngineFailed: the engine takes inputs of another shape.
        """
        [(name, axes)] = self._inputs.items()
        if None not in axes and list(axes) != list(values.shape):
            raise EngineFailed(f"the engine takes inputs of the shape {axes}, not {list(values.shape)}")
        shapes = {name: tuple(values.shape)} if None in axes else {}
        return dataclasses.replace(options, shapes=shapes, inputs={name: self.runtime.placed_values(values)})

    def run(self, options: RunOptions, **power_request: Any) -> tuple[measurement.Run, dict[str, Any]]:
        file = f"{self.runtime.transport.scratch}/times.json"
        answer = self._observed(dataclasses.replace(options, times=file), file, **power_request)
        return measurement.read_run(answer, _version(self.facts), options.warmup_ms, options.transfers), answer

    def _observed(self, options: RunOptions, file: str, **power_request: Any) -> dict[str, Any]:
        """The board's answer about a run; the content of the file that it writes is under ``times``."""
        longest = self.runtime.longest_s
        argv = command.run(self.facts["trtexec"], _version(self.facts), self.placed, options)
        request = {"argv": argv, "timeout_s": longest, "times": file, **power_request}
        return self.runtime.board.ask("measure", request, timeout_s=longest + 120, repeatable=False)

    def swept(self, batch: int, options: Callable[[], RunOptions]) -> dict[str, Any]:
        """The result of a batch, or why it did not run; other batches may be small enough."""
        try:
            return swept(batch, self.run(options())[0].times.latency)
        except EngineFailed as error:
            return not_swept(batch, str(error))

    def nodes(self, options: RunOptions) -> dict[str, Any]:
        """The times of the engine's layers, from a run of its own, or the reason why there are none."""
        file = f"{self.runtime.transport.scratch}/profile.json"
        answer = self._observed(dataclasses.replace(options, profile=file), file)
        output = log.parse("\n".join(line for _, line in answer["lines"]))
        if reason := measurement.failure(output, answer["code"], answer["timed_out"]):
            return {"reason": reason}
        try:
            return {"nodes": exports.parse_profile(answer["times"])}
        except exports.ExportError as error:
            return {"reason": f"trtexec's profile cannot be read: {error}"}

    def energy(self, options: RunOptions, batch: int) -> dict[str, Any]:
        """The energy of an inference, from a run of its own."""
        longer = dataclasses.replace(options, duration_s=max(options.duration_s, math.ceil(ENERGY_S)))
        run, answer = self.run(longer, power_hz=POWER_HZ, idle_s=IDLE_S)
        if run.began is None or run.ended is None or run.timed is None:
            return {"reason": "trtexec does not tell when it began and ended"}
        queries, seconds = run.timed
        return power.energy(answer["power"], run.began, run.ended, queries, seconds, batch)


def _version(facts: Mapping[str, Any]) -> tuple[int, int, int]:
    major, minor, patch, *_ = map(int, facts["runtime_version"].split("."))
    return major, minor, patch


def _show(line: str) -> None:
    print(line, file=sys.stderr)


def opened(link: Transport, options: Mapping[str, Any]) -> TensorRT:
    """The runtime of a device."""
    return TensorRT(link, options)
