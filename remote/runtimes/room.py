"""The description and the functions of a runtime; each folder beside this file is a runtime."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from remote.benchmark import BenchmarkSettings, Timing
    from remote.errors import EngineFailed

Version = tuple[int, ...]


@dataclass(frozen=True)
class Reads:
    """The ONNX files that a runtime reads.

    Attributes:
        rows: a version, and the highest operator set and IR version from it on; None where the operator set decides.
        unknown: the first version without a known limit; it counts as reading everything.
        build_skips_pairs: if a version is too old for int8, its build says so in the record, so no check need refuse it.
    """

    rows: Sequence[tuple[Version, int, int | None]]
    unknown: Version
    build_skips_pairs: bool = False


@dataclass(frozen=True)
class Room:
    """The description of a runtime, for the code that works with it.

    Attributes:
        title: its name in print.
        files: which of a network's files it takes on a device with these facts, the best first; the stage quantize says
            what they are.
        options: the settings of a device with this runtime, and their types: str, bool or int.
        fixed_axes: whether it takes networks with a fixed number of frames, unless params.yaml says otherwise.
        on_processor: whether it runs on a computer's processor, whose own counters measure energy where it has any, and
            which may run several engines at once; the memory of a board or a GPU may hold no second one.
        reads: the ONNX files that it reads, if they are known.
        uses: the code outside its folder that works on its devices, as files and folders (the modules in them) relative to
            the repository; code that all runtimes share need not be here.
    """

    title: str
    files: Callable[[Mapping[str, Any]], Sequence[str]]
    options: Mapping[str, type] = field(default_factory=dict)
    fixed_axes: bool = False
    on_processor: bool = False
    reads: Reads | None = None
    uses: Sequence[str] = ()


@dataclass(frozen=True)
class Shipped:
    """The part of a bundle that belongs to a runtime.

    Attributes:
        loader: the file that runs an engine there: its ``opened(file, version, threads)`` returns a function from inputs to
            signatures.
        modules: the files that the loader imports, from the package ``gaitpress_runtime``.
        requirements: the packages that it needs; ``{version}`` is the version of the runtime that built the engine.
        how: its text in README.md; ``{device}`` is the device's name.
        engine_first: only the engine was measured, so README.md runs the engine; else model.onnx gives the same.
    """

    loader: Path
    how: str
    modules: Sequence[Path] = ()
    requirements: Sequence[str] = ()
    engine_first: bool = True


class Runtime(Protocol):
    """The functions of every runtime. An engine is a directory: the engine's file and build.json, which describes it."""

    def facts(self) -> dict[str, Any]:
        """The facts that engines on the device depend on: processor, system, runtime and its version; no changing values."""
        ...

    def build(
        self,
        onnx: Path,
        out: Path,
        precision: str,
        threads: int,
        shape: Sequence[int] | None = None,
        max_batch: int = 1,
    ) -> dict[str, Any]:
        """Build an engine into the existing directory ``out``.

        Args:
            onnx: the network.
            out: the directory for the engine.
            precision: of the network: "fp32", "fp16", "bf16", "int8", or "best", the fastest mix that the runtime finds
                itself.
            threads: the number of threads that the build may take.
            shape: the shape of the input that the engine should be fastest at; needed if the network has free axes and the
                runtime wants their range.
            max_batch: the largest batch that the engine must take, if the network's batch axis is free.

        Returns:
            The content of build.json: ``status`` ("ok", "skipped" or "failed") with ``reason``, ``key``, ``sha256``,
            ``seconds``, ``bytes``, ``onnx`` (the network's file name) and the parts of the key. A network that cannot be
            built gives such a result, and raises nothing.
        """
        ...

    def check(self, engine: Path, onnx: Path | None = None) -> dict[str, Any]:
        """The content of build.json, after a check that the engine was built on this device from that network.

        Raises:
            StaleEngine: the engine is another one.
            EngineFailed: its build failed.
        """
        ...

    def run(self, engine: Path, inputs: Iterable[np.ndarray], threads: int) -> list[np.ndarray]:
        """The engine's first output for every input, in order, float32; inputs may differ in their frame axis.

        Raises:
            StaleEngine: as for check.
            EngineFailed: the engine refuses an input or breaks.
        """
        ...

    def times(
        self, engine_folders: Sequence[Path], example: np.ndarray, settings: BenchmarkSettings
    ) -> Generator[Timing | EngineFailed, None, None]:
        """Time engines one after the other: one repeat of each, without energy, nodes and other batches.

        Engines share a process where the runtime can, for hundreds of them are timed to learn what widths cost.

        Args:
            engine_folders: their directories.
            example: as for benchmark.
            settings: how to measure.

        Yields:
            for each engine in this order its times, or why there are none; the others go on.

        Raises:
            StaleEngine: as for check.
        """
        ...

    def benchmark(self, engine: Path, example: np.ndarray, settings: BenchmarkSettings) -> Timing:
        """Measure the engine.

        Args:
            engine: its directory.
            example: inputs along the first axis; a query takes the first ones, as many as its batch.
            settings: how to measure.

        Raises:
            StaleEngine: as for check.
            EngineFailed: the engine refuses the input or breaks.
        """
        ...
