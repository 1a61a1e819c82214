"""What builds and runs engines on devices, one module a runtime."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from remote.benchmark import BenchmarkSettings, Timing
from remote.inventory import Device
from remote.lock import held
from remote.runtimes.onnxruntime import OnnxRuntime
from remote.runtimes.tensorrt import TensorRT
from remote.transport import connect


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


@contextmanager
def runtime_on(device: Device, doing: str | None = None) -> Iterator[Runtime]:
    """The runtime of a device that the inventory accepted, over one connection that lasts as long as the context.

    Args:
        device: an entry of devices.yaml.
        doing: what for, in words: once all others are done, the device is ours alone. Without it, it may be shared.

    Raises:
        DeviceError: the device cannot be reached, or not be locked.
    """
    runtimes = {"onnxruntime": OnnxRuntime, "tensorrt": TensorRT}
    with connect(device.name, device.transport) as link, held(link, doing) if doing else nullcontext():
        yield runtimes[device.runtime](link, device.options)
