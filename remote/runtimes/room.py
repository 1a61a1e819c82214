"""What a runtime says of itself, and what it does: every folder beside this file is one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

    from remote.benchmark import BenchmarkSettings, Timing

Version = tuple[int, ...]


@dataclass(frozen=True)
class Reads:
    """Which ONNX files a runtime reads.

    Attributes:
        rows: from a version on, the highest operator set and the highest IR version, None where the operator set decides.
        unknown: the first version that nothing is known of, which reads everything.
        build_skips_pairs: where it is too old for int8, its build says so in the record; nothing needs to be refused.
    """

    rows: Sequence[tuple[Version, int, int | None]]
    unknown: Version
    build_skips_pairs: bool = False


@dataclass(frozen=True)
class Room:
    """A runtime in plain words: what others have to know of it before they work with it.

    Attributes:
        title: its name in print.
        files: of a device with these facts, which of a network's files it takes, the best first; the stage quantize says
            what each is.
        options: the settings of a device with this runtime, and their types: str, bool or int.
        fixed_axes: it takes networks whose number of frames is fixed, unless params.yaml says otherwise.
        counts_energy: it runs on a computer's processor, whose own counters tell the energy where there are any.
        reads: which ONNX files it reads, if that is known.
        uses: code outside its folder that works on its devices, as files and folders (the modules in them) relative to the
            repository; what all runtimes share need not be named.
    """

    title: str
    files: Callable[[Mapping[str, Any]], Sequence[str]]
    options: Mapping[str, type] = field(default_factory=dict)
    fixed_axes: bool = False
    counts_energy: bool = False
    reads: Reads | None = None
    uses: Sequence[str] = ()


@dataclass(frozen=True)
class Shipped:
    """What a bundle holds of a runtime.

    Attributes:
        loader: the file that runs an engine there: its ``opened(file, version, threads)`` returns a function from inputs to
            signatures.
        modules: files that the loader imports, from the package ``gaitpress_runtime``.
        requirements: the packages that it needs; ``{version}`` is that of the runtime which built the engine.
        how: what README.md says of it; ``{device}`` is the device's name.
        engine_first: what was measured is the engine alone, so README.md runs it; else model.onnx gives the same.
    """

    loader: Path
    how: str
    modules: Sequence[Path] = ()
    requirements: Sequence[str] = ()
    engine_first: bool = True


class Runtime(Protocol):
    """What every runtime offers. An engine is a directory: the engine's file and build.json, which describes it."""

    def facts(self) -> dict[str, Any]:
        """What engines on the device depend on: processor, system, runtime and its version; nothing that moves."""
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
            out: where the engine goes.
            precision: of the network: "fp32", "fp16", "int8", or "best", the fastest mix that the runtime finds itself.
            threads: that the build may take.
            shape: of the input that the engine is to be fastest at; needed where the network has free axes and the runtime
                wants their range.
            max_batch: the largest batch that the engine has to take, if the network's batch axis is free.

        Returns:
            What build.json holds: ``status`` ("ok", "skipped" or "failed") with ``reason``, ``key``, ``sha256``,
            ``seconds``, ``bytes``, ``onnx`` (the network's file name) and what the key is made of. A network that cannot be
            built is such a result, not an exception.
        """
        ...

    def check(self, engine: Path, onnx: Path | None = None) -> dict[str, Any]:
        """What build.json holds, once it is sure that the engine is the one that was built, here, of that network.

        Raises:
            StaleEngine: it is not.
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

    def benchmark(self, engine: Path, example: np.ndarray, settings: BenchmarkSettings) -> Timing:
        """Measure the engine.

        Args:
            engine: its directory.
            example: inputs along the first axis; a query's are the first of them, as many as its batch.
            settings: how to measure.

        Raises:
            StaleEngine: as for check.
            EngineFailed: the engine refuses the input or breaks.
        """
        ...
